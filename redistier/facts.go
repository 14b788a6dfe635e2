package redistier

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder/internal/clock"
)

// Server is what a master says about itself, all namespaces and programs
// together.
type Server struct {
	Address string
	Version string // "7.0.15", or "valkey 8.0.1"
	Mode    string // standalone, sentinel or cluster
	Role    string // master or slave
	Uptime  time.Duration

	Keys                      int64 // in the database
	UsedBytes, MaxBytes       int64 // MaxBytes 0: no limit
	Policy                    string
	Evicted, Expired          int64 // keys, since the start
	Hits, Misses              int64 // of reads, since the start
	Commands, CommandsPerSec  int64
	Clients, TrackingClients  int64
	TrackedKeys, TrackedItems int64 // TrackedItems: pairs of key and client

	Offset time.Duration // its clock minus ours, within RoundTrip
	// RoundTrip is the time of the fastest of three exchanges.
	RoundTrip time.Duration

	Info map[string]string // every field of INFO
}

// Member is a process that may serve from memory.
type Member struct {
	ID      string
	Server  string // the master that keeps this registry
	Beats   int64  // heartbeats in this membership
	Replies bool   // it sent one while we watched, see Members
}

// Servers asks every master, in the order of their addresses.
func (i *Inspector) Servers(ctx context.Context) ([]Server, error) {
	conns, err := i.masters()
	if err != nil {
		return nil, err
	}
	list := make([]Server, len(conns))
	for n, c := range conns {
		if list[n], err = c.facts(ctx); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (c *conn) facts(ctx context.Context) (s Server, err error) {
	b := c.client.B()
	results := c.send(ctx, []rueidis.Completed{b.Info().Section("all").Build(), b.Arbitrary("DBSIZE").Build()})
	text, err := results[0].ToString()
	if err != nil {
		return s, fmt.Errorf("redistier: INFO of %s: %w", c.cfg.Address, err)
	}
	s = describe(text)
	s.Address = c.cfg.Address
	if s.Keys, err = results[1].AsInt64(); err != nil {
		s.Keys = c.keysOf(s.Info) // the right to DBSIZE is not among those we need
	}
	s.Offset, s.RoundTrip, err = c.clockOffset(ctx)
	return s, err
}

// keysOf reads the number of keys from the line "db0:keys=1,expires=0".
func (c *conn) keysOf(info map[string]string) int64 {
	for part := range strings.SplitSeq(info["db"+strconv.Itoa(c.cfg.DB)], ",") {
		if n, ok := strings.CutPrefix(part, "keys="); ok {
			return number(n)
		}
	}
	return 0
}

// describe reads the text of INFO.
func describe(text string) Server {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	n := func(name string) int64 { return number(info[name]) }
	s := Server{
		Version: info["redis_version"], Mode: info["redis_mode"], Role: info["role"],
		Uptime:    time.Duration(n("uptime_in_seconds")) * time.Second,
		UsedBytes: n("used_memory"), MaxBytes: n("maxmemory"), Policy: info["maxmemory_policy"],
		Evicted: n("evicted_keys"), Expired: n("expired_keys"), Hits: n("keyspace_hits"), Misses: n("keyspace_misses"),
		Commands: n("total_commands_processed"), CommandsPerSec: n("instantaneous_ops_per_sec"),
		Clients: n("connected_clients"), TrackingClients: n("tracking_clients"),
		TrackedKeys: n("tracking_total_keys"), TrackedItems: n("tracking_total_items"),
		Info: info,
	}
	if v := info["valkey_version"]; v != "" {
		s.Version = "valkey " + v
	}
	return s
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // a field that is missing or strange is zero
	return n
}

// clockOffset compares the server's clock with ours over the fastest of three
// exchanges; the server read it somewhere between, so the error is at most half
// of the exchange.
func (c *conn) clockOffset(ctx context.Context) (offset, fastest time.Duration, err error) {
	for range 3 {
		began, sent := time.Now(), clock.Now()
		result := c.sendOne(ctx, c.client.B().Time().Build())
		took := time.Duration(clock.Now() - sent)
		server, err := serverTime(result)
		if err != nil {
			return 0, 0, fmt.Errorf("redistier: TIME of %s: %w", c.cfg.Address, err)
		}
		if fastest == 0 || took < fastest {
			offset, fastest = server.Sub(began.Add(took/2)), took
		}
	}
	return offset, fastest, nil
}

// Members lists the processes that may serve from memory, as each registry has
// them; in a cluster a process is in several. With watch above zero it looks
// twice, so far apart, and tells who sent a heartbeat meanwhile: they come four
// times per MaxStaleness.
func (i *Inspector) Members(ctx context.Context, watch time.Duration) ([]Member, error) {
	before, err := i.members(ctx)
	if err != nil || watch <= 0 {
		return before, err
	}
	timer := time.NewTimer(watch)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	after, err := i.members(ctx)
	if err != nil {
		return nil, err
	}
	beats := map[Member]bool{}
	for _, m := range before {
		beats[m] = true
	}
	for n := range after {
		after[n].Replies = !beats[after[n]]
	}
	return after, nil
}

func (i *Inspector) members(ctx context.Context) ([]Member, error) {
	var list []Member
	stripes := i.tier.self.keys.stripes
	for n := 0; n < len(stripes); n += perRegistry {
		c := i.tier.conn(stripes[n].members)
		if c == nil {
			return nil, errNoMaster(stripes[n].members)
		}
		numbers, err := c.sendOne(ctx, c.client.B().Hgetall().Key(stripes[n].members).Build()).AsStrMap()
		if err != nil {
			return nil, fmt.Errorf("redistier: reading the registry: %w", err)
		}
		for id, text := range numbers {
			list = append(list, Member{ID: id, Server: c.cfg.Address, Beats: number(text) & (1<<countBits - 1)})
		}
	}
	return list, nil
}

func errNoMaster(key string) error { return fmt.Errorf("redistier: no master serves %q", key) }
