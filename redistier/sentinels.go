package redistier

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// sentinels knows where the master is. Its goroutine asks every second, so that
// a master that was replaced is left even if it answers still.
type sentinels struct {
	tier   *Tier
	server *server
	wanted chan struct{}

	mu        sync.Mutex
	addresses []string // the one that answered last comes first
}

func newSentinels(t *Tier) *sentinels {
	s := &sentinels{tier: t, server: t.layout.Load().servers[0], wanted: make(chan struct{}, 1)}
	s.addresses = slices.Clone(t.self.cfg.Addresses)
	rand.Shuffle(len(s.addresses), func(i, j int) { s.addresses[i], s.addresses[j] = s.addresses[j], s.addresses[i] })
	s.server.locate = s.locate
	return s
}

// run keeps the connection to the master, wherever that is, until ctx ends.
func (s *sentinels) run(ctx context.Context, attempted func()) {
	var watch sync.WaitGroup
	watch.Go(func() { s.watch(ctx) })
	defer watch.Wait()
	defer attempted()
	s.server.run(ctx, attempted)
}

// watch ends the connection to a server that is no master any more to most of
// the Sentinels that answer.
func (s *sentinels) watch(ctx context.Context) {
	for s.server.sleep(ctx, lookEvery) {
		c := s.server.conn()
		if c == nil {
			continue
		}
		master, err := s.locate(ctx)
		if err == nil && master != c.cfg.Address {
			c.fail(fmt.Errorf("the Sentinels name another master, %s", master))
		}
	}
}

// locate asks one Sentinel after the other for the address of the master.
func (s *sentinels) locate(ctx context.Context) (string, error) {
	s.mu.Lock()
	addresses := slices.Clone(s.addresses)
	s.mu.Unlock()
	var errs []error
	for _, address := range addresses {
		master, err := s.ask(ctx, address)
		if err == nil {
			s.prefer(address)
			return master, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", address, err))
	}
	return "", fmt.Errorf("redistier: no Sentinel names the master %q: %w", s.tier.self.cfg.MasterName, errors.Join(errs...))
}

func (s *sentinels) ask(ctx context.Context, address string) (string, error) {
	cfg := s.tier.self.cfg
	cfg.Username, cfg.Password = cfg.SentinelUsername, cfg.SentinelPassword
	cfg.DialTimeout = min(cfg.DialTimeout, 250*time.Millisecond) // several may have to be asked
	result, err := cfg.inquire(ctx, address, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", cfg.MasterName)
	if rueidis.IsRedisNil(err) {
		return "", errors.New("knows no master of this name")
	}
	if err != nil {
		return "", err
	}
	parts, err := result.AsStrSlice()
	if err != nil || len(parts) != 2 {
		return "", fmt.Errorf("named a master by %d parts: %w", len(parts), err)
	}
	return net.JoinHostPort(parts[0], parts[1]), nil
}

// prefer moves an address to the front.
func (s *sentinels) prefer(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses = slices.DeleteFunc(s.addresses, func(a string) bool { return a == address })
	s.addresses = slices.Insert(s.addresses, 0, address)
}
