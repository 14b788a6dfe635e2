package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// forms are the ways in which a value may lie in Redis.
var forms = []struct {
	name        string
	compression larder.Compression
	sealed      bool
}{
	{"plain", larder.CompressNone, false},
	{"s2", larder.CompressS2, false},
	{"zstd", larder.CompressZstd, false},
	{"sealed", larder.CompressNone, true},
	{"s2-sealed", larder.CompressS2, true},
}

// BenchmarkStored reads lists of documents from Redis, decoded and as bytes, and
// sets them as bytes: compressed, encrypted, both, and neither.
func BenchmarkStored(b *testing.B) {
	s := startRedis(b)
	for _, kib := range []int{1, 10, 100} {
		docs := docsOf(b, kib<<10)
		data, err := json.Marshal(docs)
		if err != nil {
			b.Fatal(err)
		}
		raw := storing[[]byte]{what: "bytes", size: kib, codec: larder.Bytes, value: data, valid: func(v []byte) bool { return bytes.Equal(v, data) }}
		raw.bench(b, s, true)
		decoded := storing[[]*Doc]{what: "documents", size: kib, value: docs, valid: func(v []*Doc) bool { return len(v) == len(docs) }}
		decoded.bench(b, s, false)
	}
}

// docsOf returns documents that take about size bytes as JSON, of which about
// a third is unlike in each.
func docsOf(tb testing.TB, size int) (docs []*Doc) {
	random := rand.New(rand.NewPCG(1, uint64(size)))
	for length := 0; length < size; {
		d := newDoc(random.Int64N(1e6))
		d.Name = strconv.FormatUint(random.Uint64(), 36) + " " + d.Name[:40]
		d.Owner = strconv.FormatUint(random.Uint64(), 36) + "@example.org"
		d.Summary = d.Summary[:120] + strconv.FormatUint(random.Uint64(), 36) + strconv.FormatUint(random.Uint64(), 36)
		d.Duration, d.Passed, d.Failed = random.Float64()*1000, random.IntN(5000), random.IntN(100)
		d.Created = d.Created.Add(time.Duration(random.Int64N(1e9)) * time.Second / 1000)
		d.Updated = d.Created.Add(time.Duration(random.Int64N(1e6)) * time.Second)
		data, err := json.Marshal(d)
		if err != nil {
			tb.Fatal(err)
		}
		docs, length = append(docs, d), length+len(data)+1
	}
	return docs
}

// storing is one value in one encoding.
type storing[V any] struct {
	what  string
	size  int // KiB
	codec larder.Codec[V]
	value V
	valid func(V) bool
}

func (t storing[V]) bench(b *testing.B, s *lardertest.RedisServer, sets bool) {
	ctx := context.Background()
	for _, form := range forms {
		o := larder.Options{Logger: quiet, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxStaleness: 5 * time.Second}
		if form.sealed {
			ring, err := larder.NewKeyRing(larder.EncryptionKey{ID: "1", Secret: bytes.Repeat([]byte{7}, 32)})
			if err != nil {
				b.Fatal(err)
			}
			o.Keys = ring
		}
		flush(b, s)
		cache, err := redistier.Open(ctx, redistier.Config{Address: s.Addr()}, o)
		if err != nil {
			b.Fatal(err)
		}
		k, err := larder.NewKeyspace(cache, "stored", larder.KeyspaceOptions[string, V]{
			TTL: ttl, Tiers: larder.RemoteOnly, Codec: t.codec, Compression: form.compression})
		if err != nil {
			b.Fatal(err)
		}
		load := func(context.Context, string) (V, error) { return t.value, nil }
		if _, err := k.Get(ctx, "k", load); err != nil {
			b.Fatal(err)
		}
		dims := fmt.Sprintf("form=%s/size=%dKiB", form.name, t.size)
		b.Run("what=read-"+t.what+"/"+dims, func(b *testing.B) {
			spread(b, 1, func(int) error {
				v, err := k.Get(ctx, "k", nowhere[V])
				if err == nil && !t.valid(v) {
					err = fmt.Errorf("another value")
				}
				return err
			})
			b.ReportMetric(storedBytes(b, s), "stored-B")
		})
		if sets {
			b.Run("what=set-"+t.what+"/"+dims, func(b *testing.B) {
				spread(b, 1, func(int) error { return k.Set(ctx, "k", t.value) })
			})
		}
		if err := cache.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// nowhere is the loader of what is in Redis.
func nowhere[V any](context.Context, string) (v V, err error) {
	return v, fmt.Errorf("not in Redis")
}

// storedBytes returns the length of the longest value on the server.
func storedBytes(tb testing.TB, s *lardertest.RedisServer) float64 {
	tb.Helper()
	length, err := s.Command("EVAL", `local most = 0
for _, k in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', k).ok == 'string' then most = math.max(most, redis.call('STRLEN', k)) end
end
return most`, "0")
	if err != nil {
		tb.Fatal(err)
	}
	n, err := strconv.ParseFloat(length, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
