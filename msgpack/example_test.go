package msgpack_test

import (
	"context"
	"fmt"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/msgpack"
)

// Values are stored as MessagePack; everything else stays as it is.
func ExampleCodec() {
	type Suite struct {
		ID   int64  `msgpack:"id"`
		Name string `msgpack:"name"`
	}
	ctx := context.Background()
	cache, err := larder.NewWithRemote(ctx, lardertest.NewServer().Node(), larder.Options{})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	suites, err := larder.NewKeyspace(cache, "suite", larder.KeyspaceOptions[int64, Suite]{Codec: msgpack.Codec[Suite]()})
	if err != nil {
		panic(err)
	}
	suite, err := suites.Get(ctx, 42, func(_ context.Context, id int64) (Suite, error) {
		return Suite{id, "checkout"}, nil
	})
	fmt.Println(suite.Name, err)
	// Output: checkout <nil>
}
