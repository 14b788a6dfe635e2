package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/larder-go/larder/lardertest"
)

// remoteKeys is how many keys are read in turn.
const remoteKeys = 1000

// BenchmarkRedisHit reads what is in Redis and nowhere else.
func BenchmarkRedisHit(b *testing.B) {
	s := startRedis(b)
	for _, size := range []int{100, 1024} {
		for _, o := range append(append([]Opener{}, Clients...), RemoteStores...) {
			store, closeStore := openStore(b, o, Config{Addr: s.Addr(), Load: ofSize(size)})
			keys := names(remoteKeys)
			flush(b, s)
			warm(b, store, keys)
			for _, n := range []int{1, 8, 64, 256} {
				b.Run(fmt.Sprintf("cache=%s/value=%dB/goroutines=%d", o.Name, size, n), func(b *testing.B) {
					spread(b, n, func(i int) error {
						value, err := store.Get(context.Background(), keys[i%remoteKeys])
						if err == nil && len(value) != size {
							err = fmt.Errorf("%d bytes", len(value))
						}
						return err
					})
				})
			}
			closeStore()
		}
		b.Run(fmt.Sprintf("cache=socket/value=%dB/goroutines=1", size), func(b *testing.B) { socketHits(b, s, size) })
		b.Run(fmt.Sprintf("cache=redis-benchmark/value=%dB/goroutines=64", size), func(b *testing.B) { redisBenchmark(b, s, size) })
	}
}

func flush(tb testing.TB, s *lardertest.RedisServer) {
	tb.Helper()
	if _, err := s.Command("FLUSHALL"); err != nil {
		tb.Fatal(err)
	}
}

// socketHits is a GET without any client: the least a round trip can cost.
func socketHits(b *testing.B, s *lardertest.RedisServer, size int) {
	if _, err := s.Command("SET", "socket", strings.Repeat("x", size)); err != nil {
		b.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in, request, body := bufio.NewReader(conn), []byte("*2\r\n$3\r\nGET\r\n$6\r\nsocket\r\n"), make([]byte, size+2)
	spread(b, 1, func(int) error {
		_, err := conn.Write(request)
		if err == nil {
			_, err = in.ReadSlice('\n')
		}
		if err == nil {
			_, err = io.ReadFull(in, body)
		}
		return err
	})
}

// redisBenchmark is what the server's own tool reaches with 50 connections and
// pipelines of 16: the most this machine gives.
func redisBenchmark(b *testing.B, s *lardertest.RedisServer, size int) {
	n := strconv.Itoa(max(b.N, 50_000))
	out, err := exec.Command("redis-benchmark", "-p", strconv.Itoa(s.Port()), "-t", "set,get", "-n", n, "-r", "1000",
		"-d", strconv.Itoa(size), "-P", "16", "--csv").Output()
	if err != nil {
		b.Fatal(err)
	}
	rate, err := csvRate(string(out))
	if err != nil {
		b.Fatalf("%v in %s", err, out)
	}
	b.ReportMetric(1e9/rate, "ns/op")
}

// csvRate returns the requests per second of GET.
func csvRate(out string) (float64, error) {
	for line := range strings.Lines(out) {
		if fields := strings.Split(line, ","); len(fields) > 1 && fields[0] == `"GET"` {
			return strconv.ParseFloat(strings.Trim(fields[1], "\""), 64)
		}
	}
	return 0, errors.New("no line of GET")
}

// BenchmarkDecode reads a document of 580 bytes, as JSON, from Redis into a
// struct.
func BenchmarkDecode(b *testing.B) {
	addr := startRedis(b).Addr()
	for _, c := range DocCaches {
		for _, n := range []int{1, 64} {
			b.Run(fmt.Sprintf("cache=%s/goroutines=%d", c.Name, n), func(b *testing.B) {
				get, closeCache, err := c.Open(addr)
				if err != nil {
					b.Fatal(err)
				}
				defer closeCache()
				read := func(i int) error {
					_, err := get(context.Background(), int64(i%remoteKeys))
					return err
				}
				for i := range remoteKeys {
					if err := read(i); err != nil {
						b.Fatal(err)
					}
				}
				spread(b, n, read)
			})
		}
	}
}

// BenchmarkGetMany reads 100 keys at once, the same ones in every goroutine.
func BenchmarkGetMany(b *testing.B) {
	s := startRedis(b)
	keys := names(100)
	pipelined := Opener{"rueidis-pipelined", openRueidisPipelined}
	for _, o := range append([]Opener{Clients[0], pipelined, Clients[2]}, RemoteStores...) {
		store, closeStore := openStore(b, o, Config{Addr: s.Addr(), Load: ofSize(100)})
		flush(b, s)
		warm(b, store, keys)
		if many, ok := store.(batcher); ok && o.Name != "naive" {
			for _, n := range []int{1, 8} {
				b.Run(fmt.Sprintf("cache=%s/goroutines=%d", o.Name, n), func(b *testing.B) {
					spread(b, n, func(int) error {
						n, err := many.GetMany(context.Background(), keys)
						if err == nil && n != len(keys) {
							err = fmt.Errorf("%d values", n)
						}
						return err
					})
				})
			}
		}
		if o.Name == "rueidis" {
			b.Run("cache=one-by-one/goroutines=1", func(b *testing.B) {
				spread(b, 1, func(int) error {
					for _, key := range keys {
						if _, err := store.Get(context.Background(), key); err != nil {
							return err
						}
					}
					return nil
				})
			})
		}
		closeStore()
	}
}

// BenchmarkMiss reads keys that nobody has read before, from a source that
// answers at once: look, load, store.
func BenchmarkMiss(b *testing.B) {
	s := startRedis(b)
	var next atomic.Int64
	for _, o := range RemoteStores {
		store, closeStore := openStore(b, o, Config{Addr: s.Addr(), Load: ofSize(100)})
		for _, n := range []int{1, 64} {
			b.Run(fmt.Sprintf("cache=%s/goroutines=%d", o.Name, n), func(b *testing.B) {
				spread(b, n, func(int) error {
					_, err := store.Get(context.Background(), "new"+strconv.FormatInt(next.Add(1), 10))
					return err
				})
			})
		}
		closeStore()
		flush(b, s)
	}
}
