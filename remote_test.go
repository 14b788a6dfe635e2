package larder_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

func open(t testing.TB, r *lardertest.RedisServer, opts larder.Options) *larder.Cache {
	t.Helper()
	tier, err := redistier.New(redistier.Config{Address: r.Addr()}, opts.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := larder.NewWithRemote(ctx, tier, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestRealSmoke(t *testing.T) {
	r := lardertest.StartRedis(t)
	// Times at which a busy machine does not pass for an absent Redis.
	patient := larder.Options{Namespace: "shop", MaxStaleness: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	a, b := open(t, r, patient), open(t, r, patient)
	opts := larder.KeyspaceOptions[int64, string]{Tags: func(int64) []string { return []string{"suites"} }}
	ka, _ := larder.NewKeyspace(a, "suite", opts)
	kb, _ := larder.NewKeyspace(b, "suite", opts)
	var loads, version atomic.Int64
	load := func(_ context.Context, id int64) (string, error) {
		loads.Add(1)
		v := version.Load()
		if v == 0 {
			time.Sleep(20 * time.Millisecond) // while all others come to wait
		}
		return fmt.Sprint("v", v), nil
	}
	ctx := context.Background()
	var wg sync.WaitGroup
	for range 50 {
		for _, k := range []*larder.Keyspace[int64, string]{ka, kb} {
			wg.Go(func() {
				if v, err := k.Get(ctx, 42, load); err != nil || v != "v0" {
					t.Error(v, err)
				}
			})
		}
	}
	wg.Wait()
	if n := loads.Load(); n != 1 {
		t.Errorf("%d loads", n)
	}
	for i := range 200 {
		version.Add(1)
		var err error
		if i%2 == 0 {
			err = a.Invalidate(ctx, ka.Key(42))
		} else {
			err = b.Invalidate(ctx, larder.Tag("suites"))
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []*larder.Keyspace[int64, string]{ka, kb} {
			if v, err := k.Get(ctx, 42, load, larder.Exact); v != fmt.Sprint("v", version.Load()) {
				t.Error(i, v, err)
			}
		}
	}
	t.Logf("%+v", a.Stats().Keyspaces["suite"])
	t.Logf("%+v", b.Stats().Keyspaces["suite"])
	m, err := ka.GetMany(ctx, []int64{1, 2, 3, 42}, func(_ context.Context, ids []int64) (map[int64]string, error) {
		t.Log("batch", ids)
		return map[int64]string{1: "a", 2: "b"}, nil
	})
	t.Log(m, err)
	v, err := kb.Lookup(ctx, 1)
	t.Log(v, err)
	v, err = kb.Lookup(ctx, 3)
	t.Log(v, err)
	ttl, err := kb.TTL(ctx, 1)
	t.Log(ttl, err)
	t.Log(kb.Set(ctx, 9, "nine"))
	v, err = ka.Lookup(ctx, 9)
	t.Log(v, err)
	n, err := a.DeletePattern(ctx, "suite:*")
	t.Log(n, err)
	v, err = kb.Lookup(ctx, 9)
	t.Log(v, err)
	t.Log(a.Clear(ctx), a.Health())
}
