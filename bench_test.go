package larder_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// benchKeys are drawn from a zipf distribution once, so that the hit itself is
// measured.
const benchKeys = 1 << 14

func zipf() []uint64 {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, benchKeys-1)
	keys := make([]uint64, 1<<16)
	for i := range keys {
		keys[i] = z.Uint64()
	}
	return keys
}

type row struct{ ID int64 }

// BenchmarkMemoryHit compares a typed Get with loader against otter's with
// expiry, on the same keys.
func BenchmarkMemoryHit(b *testing.B) {
	keys := zipf()
	ctx := context.Background()
	b.Run("cache=larder/keys=int64", func(b *testing.B) {
		c, err := larder.New(larder.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		k, err := larder.NewKeyspace(c, "row", larder.KeyspaceOptions[int64, *row]{TTL: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		load := func(_ context.Context, id int64) (*row, error) { return &row{id}, nil }
		hits(b, len(keys), func(i int) { k.Get(ctx, int64(keys[i]), load) })
	})
	b.Run("cache=larder/keys=string", func(b *testing.B) {
		c, err := larder.New(larder.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		k, err := larder.NewKeyspace(c, "row", larder.KeyspaceOptions[string, *row]{TTL: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		load := func(_ context.Context, id string) (*row, error) { return &row{}, nil }
		names := make([]string, len(keys))
		for i := range keys {
			names[i] = "row-" + strconv.Itoa(int(keys[i]))
		}
		hits(b, len(keys), func(i int) { k.Get(ctx, names[i], load) })
	})
	b.Run("cache=otter/keys=int64", func(b *testing.B) {
		c := otter.Must(&otter.Options[int64, *row]{
			MaximumSize: 1 << 20, ExpiryCalculator: otter.ExpiryWriting[int64, *row](time.Hour)})
		defer c.StopAllGoroutines()
		load := otter.LoaderFunc[int64, *row](func(_ context.Context, id int64) (*row, error) { return &row{id}, nil })
		hits(b, len(keys), func(i int) { c.Get(ctx, int64(keys[i]), load) })
	})
}

// hits runs get over n indexes in parallel, after one pass that fills.
func hits(b *testing.B, n int, get func(i int)) {
	for i := range n {
		get(i)
	}
	var worker atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		i := int(worker.Add(1)) * 7919 % n
		for pb.Next() {
			get(i)
			if i++; i == n {
				i = 0
			}
		}
	})
}

// sameReplies is a remote tier that answers the second and every later look at
// many keys as it did the first, and has one connection.
type sameReplies struct {
	*lardertest.Remote
	namespace string
	epoch     *larder.Epoch
	replies   []larder.Reply
}

func (r *sameReplies) NamespaceKey(string) string { return r.namespace }
func (r *sameReplies) Epoch(key string) *larder.Epoch {
	if r.epoch == nil {
		r.epoch = r.Remote.Epoch(key)
	}
	return r.epoch
}

func (r *sameReplies) Do(ctx context.Context, ops []larder.Op, replies []larder.Reply) {
	if len(ops) == len(r.replies) && ops[0].Kind == larder.OpGet {
		copy(replies, r.replies)
		return
	}
	r.Remote.Do(ctx, ops, replies)
	if len(ops) == batchOfBench && ops[0].Kind == larder.OpGet && replies[0].State == larder.Present {
		r.replies = slices.Clone(replies)
	}
}

const batchOfBench = 100

// BenchmarkBatchOfHits is what a GetMany of 100 keys costs beside its round
// trip: of values that the remote tier has, and of those in memory.
func BenchmarkBatchOfHits(b *testing.B) {
	for name, tiers := range map[string]larder.Tiers{"remote": larder.RemoteOnly, "memory": larder.BothTiers} {
		b.Run("tier="+name, func(b *testing.B) {
			remote := &sameReplies{Remote: lardertest.NewRemote(lardertest.RemoteOptions{}, lardertest.NewServer())}
			remote.namespace = remote.NamespaceKeys()[0]
			c, err := larder.NewWithRemote(b.Context(), remote, larder.Options{MaxStaleness: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			k := space(b, c, "text", larder.KeyspaceOptions[string, string]{TTL: time.Hour, Tiers: tiers, Codec: larder.Text})
			keys := names(0, batchOfBench)
			load := func(_ context.Context, keys []string) (map[string]string, error) {
				found := make(map[string]string, len(keys))
				for _, key := range keys {
					found[key] = strings.Repeat("v", 100)
				}
				return found, nil
			}
			b.ReportAllocs()
			for range 3 {
				k.GetMany(b.Context(), keys, load)
			}
			for b.Loop() {
				if values, err := k.GetMany(b.Context(), keys, load); err != nil || len(values) != len(keys) {
					b.Fatal(len(values), err)
				}
			}
		})
	}
}
