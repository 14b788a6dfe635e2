package larder_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// read does one read and compares what it returns with what it may.
func (s *sim) read(random *rand.Rand, n int) {
	kind := pick(random, s.kinds)
	key := pick(random, simKeys[kind])
	tolerance := pick(random, []time.Duration{0, tolerance / 10, tolerance, tolerance})
	opts := []larder.ReadOption{larder.MaxStaleness(tolerance)}
	token, tokenVersions := s.reg.anyToken(random)
	if random.IntN(8) == 0 {
		opts = append(opts, larder.After(token))
	} else {
		tokenVersions = nil
	}
	ctx, cancel := s.ctx, func() {}
	if random.IntN(6) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(int(50*time.Millisecond))))
	}
	defer cancel()
	least := s.reg.least(n, tolerance)
	for k, v := range tokenVersions {
		least[k] = max(least[k], v)
	}
	values, err := s.readFrom(ctx, random, kind, key, n, opts)
	s.judge(ctx, err)
	for k, got := range values {
		s.reads.Add(1)
		if got < least[k] {
			s.Errorf("node %d, tolerance %v, %v: %s is version %d, at least %d was invalidated away",
				n, tolerance, opts, k, got, least[k]-1)
		}
	}
}

func (s *sim) readFrom(ctx context.Context, random *rand.Rand, kind, key string, n int, opts []larder.ReadOption) (map[string]int, error) {
	k := s.space(kind, n)
	switch random.IntN(6) {
	case 0:
		return k.GetMany(ctx, simKeys[kind], s.loadMany(kind), opts...)
	case 1:
		if v, err := k.Lookup(ctx, key, opts...); err == nil {
			return map[string]int{key: v}, nil
		}
		return nil, nil // a miss, or no connection
	}
	v, err := k.Get(ctx, key, s.load(kind), opts...)
	if err != nil {
		return nil, err
	}
	return map[string]int{key: v}, nil
}

// judge accepts the errors that a read may have.
func (s *sim) judge(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, errSimulated) && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
		s.Errorf("read: %v", err)
	}
}

// change is a set of keys that change together, and what invalidates them.
type change struct {
	kind     string
	keys     []string
	target   larder.Target
	versions map[string]int // after commit
}

func (s *sim) pickChange(random *rand.Rand, n int) *change {
	c := &change{kind: pick(random, s.kinds), versions: map[string]int{}}
	switch random.IntN(8) {
	case 0:
		c.keys, c.target = simTagged, larder.Tag("group")
	case 1:
		c.keys, c.target = slices.Concat(slices.Collect(maps.Values(simKeys))...), larder.All()
		slices.Sort(c.keys)
	case 2:
		c.keys, c.target = simKeys["dynamic"], larder.Tag("learned")
	case 3:
		c.keys, c.target = simKeys["dynamic"], larder.Prefix(simPrefix)
	default:
		c.keys = []string{pick(random, simKeys[c.kind])}
		c.target = s.space(c.kind, n).Key(c.keys[0])
	}
	return c
}

// commit changes the source.
func (s *sim) commit(c *change) {
	for _, key := range c.keys {
		s.invalidations(key).Add(2) // a hold-off costs a load as well
		c.versions[key] = s.src.change(key)
	}
}

// write changes one key or several and invalidates them.
func (s *sim) write(random *rand.Rand, n int) {
	if s.ages && random.IntN(3) == 0 {
		kind := pick(random, []string{"plain", "tagged"})
		s.renew(random, s.space(kind, n), pick(random, simKeys[kind]))
		return
	}
	c := s.pickChange(random, n)
	ctx, cancel := s.ctx, func() {}
	if s.faults && random.IntN(8) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(int(4*time.Millisecond))))
	}
	defer cancel()
	if len(c.keys) == 1 && random.IntN(2) == 0 {
		s.writeOne(ctx, random, c, n)
		return
	}
	s.commit(c)
	targets := []larder.Target{c.target}
	strict := random.IntN(8) == 0
	if strict {
		targets = append(targets, larder.Strict)
	}
	token, err := s.nodes[n].cache.InvalidateToken(ctx, targets...)
	s.reg.record(n, c.versions, err, strict)
	s.reg.keepToken(token, c.versions)
	s.judgeWrite(err)
}

// writeOne changes one key in one of the ways that there are for one alone.
func (s *sim) writeOne(ctx context.Context, random *rand.Rand, c *change, n int) {
	k, key := s.space(c.kind, n), c.keys[0]
	switch random.IntN(3) {
	case 0:
		err := k.Mutate(ctx, key, func(context.Context) error { s.commit(c); return nil })
		s.reg.record(n, c.versions, err, false)
		s.judgeWrite(err)
	case 1:
		if c.kind == "local" {
			return
		}
		s.commit(c)
		for _, other := range simKeys[c.kind] {
			s.invalidations(other).Add(2)
		}
		_, err := s.nodes[n].cache.DeletePattern(ctx, c.kind+":"+key[:1]+"*")
		if err != nil { // it is not carried out again by itself
			err = s.nodes[n].cache.Invalidate(ctx, c.target)
		}
		s.reg.record(n, c.versions, err, false)
		s.judgeWrite(err)
	default:
		s.commit(c)
		v := c.versions[key]
		if random.IntN(3) == 0 { // said late, when others may have changed it again
			time.Sleep(time.Duration(random.ExpFloat64() * float64(20*time.Millisecond)))
		}
		err := k.SetVersion(ctx, key, v, uint64(v)+1)
		s.reg.record(n, c.versions, err, false)
		s.judgeWrite(err)
	}
}

// renew expires or refreshes an entry: neither brings an invalidated value back.
func (s *sim) renew(random *rand.Rand, k *larder.Keyspace[string, int], key string) {
	if random.IntN(2) == 0 {
		if err := k.Expire(s.ctx, key); err != nil && !s.faults {
			s.Errorf("Expire without faults: %v", err)
		}
		return
	}
	if _, err := k.Refresh(s.ctx, key, s.src.load); err != nil && !errors.Is(err, errSimulated) {
		s.Errorf("Refresh: %v", err)
	}
}

func (s *sim) judgeWrite(err error) {
	if err != nil && !errors.Is(err, larder.ErrPending) && !errors.Is(err, larder.ErrNotStrict) {
		s.Errorf("invalidation: %v", err)
	}
	if err != nil && !s.faults {
		s.Errorf("invalidation without faults: %v", err)
	}
}

// sabotage breaks and heals things until over is closed.
func (s *sim) sabotage(random *rand.Rand, over <-chan struct{}) {
	defer func() {
		s.server.Restart()
		s.server.Cont()
		s.server.SetReadOnly(false)
		s.server.Script(nil)
		for _, n := range s.nodes {
			n.remote.Resume()
		}
	}()
	for {
		heal := s.fault(random)
		select {
		case <-time.After(time.Duration(random.ExpFloat64() * float64(100*time.Millisecond))):
		case <-over:
			return
		}
		if heal != nil {
			heal()
		}
	}
}

// fault does one thing, and returns what undoes it.
func (s *sim) fault(random *rand.Rand) (heal func()) {
	remote := pick(random, s.nodes).remote
	entry := remote.EntryKey(pick(random, []string{"plain:p0", "tagged:t0", "tagged:t1", "dynamic:d0", "held:h0"}))
	switch random.IntN(16) {
	case 0:
		remote.Hold()
		return remote.Resume
	case 1, 2, 3:
		remote.HoldPushes()
		return remote.Resume
	case 4:
		remote.Cut()
		return remote.Resume
	case 5:
		s.server.Drop()
	case 6:
		s.server.Stop()
		return s.server.Cont
	case 7:
		s.server.Kill()
		return s.server.Restart
	case 8:
		s.server.FlushAll()
	case 9:
		s.server.Evict(entry)
	case 10:
		s.server.Evict(pick(random, []string{remote.TagKey("group"), remote.TagKey("learned"), remote.LogKeys()[0]}))
	case 11:
		s.server.Evict(remote.NamespaceKeys()[0])
	case 12:
		s.server.Forget(entry)
	case 13:
		s.server.SetReadOnly(true)
		return func() { s.server.SetReadOnly(false) }
	default:
		fault := pick(random, []lardertest.Fault{lardertest.ReplyError, lardertest.LoseReply, lardertest.LoseRequest})
		seed := random.Uint64()
		var mu sync.Mutex
		dice := rand.New(rand.NewPCG(seed, 4))
		s.server.Script(func(lardertest.Request) lardertest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if dice.IntN(10) == 0 {
				return fault
			}
			return lardertest.NoFault
		})
		return func() { s.server.Script(nil) }
	}
	return nil
}
