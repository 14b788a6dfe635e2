package larder_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// P3: when a strict invalidation returns, memory serves the old value nowhere,
// though the push to one process is still under way.

// 1. A and B hold the value in memory; pushes to B are held back
// 2. A invalidates strictly
// 3. it returns; B reads with the default tolerance
func TestP3_StrictWaitsForMemoryElsewhere(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.get("k")
		b.get("k")
		b.remote.Hold()
		want := r.src.change("k")
		begun := time.Now()
		a.invalidate(a.plain.Key("k"), larder.Strict)
		b.expect("k", want)
		if took := time.Since(begun); took > tolerance+tolerance/20 {
			t.Errorf("took %v", took)
		}
	})
}

// Without Strict the same order serves the old value: the promise is P2 then.
func TestP3_WithoutStrictMemoryMayBeOld(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.get("k")
		b.get("k")
		b.remote.HoldPushes()
		r.src.change("k")
		a.invalidate(a.plain.Key("k"))
		b.expect("k", 0)
		r.pass(tolerance + time.Millisecond)
		b.expect("k", 1)
	})
}

// While all processes answer, nobody waits for clocks.
func TestStrictIsAcknowledged(t *testing.T) {
	inSetup(t, setup{nodes: 3, delay: time.Millisecond, cache: larder.Options{AcknowledgedStrict: true}}, func(r *rig) {
		for _, n := range r.nodes {
			n.get("k")
		}
		want := r.src.change("k")
		begun := time.Now()
		r.nodes[0].invalidate(r.nodes[0].plain.Key("k"), larder.Strict)
		if took := time.Since(begun); took > tolerance/10 {
			t.Errorf("took %v, acknowledged in a few round trips it should be", took)
		}
		for _, n := range r.nodes {
			n.expect("k", want)
		}
	})
}

// P3 by acknowledgement, with a process that nobody can ask.
//
// 1. B loses Redis and is forgotten; it loads the old value past Redis
// 2. A invalidates strictly; all members acknowledge
// 3. B reads with the default tolerance
func TestP3_AcknowledgedWithoutWhoIsCutOff(t *testing.T) {
	options := larder.Options{AcknowledgedStrict: true}
	inSetup(t, setup{nodes: 2, cache: options}, func(r *rig) {
		a, b := r.two()
		a.get("k")
		b.remote.Cut()
		r.pass(time.Minute)
		b.get("k")
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"), larder.Strict)
		b.expect("k", want)
	})
}

// A caller who leaves early learns that the waiting was not over.
func TestStrictCutShort(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.get("k")
		b.remote.Hold()
		ctx, cancel := context.WithTimeout(r.ctx, tolerance/4)
		defer cancel()
		err := a.cache.Invalidate(ctx, a.plain.Key("k"), larder.Strict)
		if !errors.Is(err, larder.ErrNotStrict) || errors.Is(err, larder.ErrPending) {
			t.Errorf("%v, want ErrNotStrict and not ErrPending", err)
		}
	})
}

// Read-your-writes: the token makes another process read the change, whatever
// its memory says.
func TestTokenCarriesAChangeToAnotherProcess(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.get("k")
		b.remote.HoldPushes()
		want := r.src.change("k")
		token, err := a.cache.InvalidateToken(r.ctx, a.plain.Key("k"))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := larder.ParseToken(token.String())
		if err != nil || parsed != token {
			t.Fatalf("%v, %v", parsed, err)
		}
		b.expect("k", want, larder.After(parsed))
	})
}

// 1. Redis does not answer A's invalidation; the old value stays there
// 2. the token of the pending invalidation reaches B
// 3. B loads, stores nothing, and does not share with reads without the token
func TestTokenOfAPendingInvalidation(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.get("k")
		want := r.src.change("k")
		r.failing(a, larder.OpDelete, lardertest.ReplyError)
		token, err := a.cache.InvalidateToken(r.ctx, a.plain.Key("k"))
		if !errors.Is(err, larder.ErrPending) {
			t.Fatalf("%v, want ErrPending", err)
		}
		b.expect("k", want, larder.After(token))
		b.expect("k", 0) // what Redis still has
		r.healthy()
		r.pass(tolerance)
		b.expect("k", want)
	})
}

// A declared prefix invalidates what begins with it, and nothing else.
func TestPrefix(t *testing.T) {
	inSetup(t, setup{nodes: 2, spaces: larder.KeyspaceOptions[string, int]{Prefixes: []string{"plain:a"}}}, func(r *rig) {
		a, b := r.two()
		a.get("a1")
		a.get("b1")
		b.get("a1")
		r.src.change("a1")
		r.src.change("b1")
		b.invalidate(larder.Prefix("plain:a"))
		synctest.Wait()
		a.expect("a1", 1)
		a.expect("b1", 0)
		b.expect("a1", 1, larder.Exact)
	})
}

func TestPrefixNobodyDeclares(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		err := r.nodes[0].cache.Invalidate(r.ctx, larder.Prefix("plain:x"))
		if !errors.Is(err, larder.ErrInvalidKey) {
			t.Errorf("%v, want ErrInvalidKey", err)
		}
	})
}

// dynamic declares a keyspace whose loader adds the tag "of-" + key.
func dynamic(n *node) (*larder.Keyspace[string, int], larder.Loader[string, int]) {
	k := space(n.rig.T, n.cache, "dynamic", larder.KeyspaceOptions[string, int]{DynamicTags: true})
	return k, func(ctx context.Context, key string) (int, error) {
		v, err := n.rig.src.load(ctx, key)
		larder.LoadFrom(ctx).Tag("of-" + key)
		return v, err
	}
}

// P4 with tags that a loader adds: invalidating them outdates the entry in
// every process.
func TestDynamicTags(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		ka, load := dynamic(a)
		kb, loadB := dynamic(b)
		read := func(k *larder.Keyspace[string, int], load larder.Loader[string, int], want int, opts ...larder.ReadOption) {
			t.Helper()
			if v, err := k.Get(r.ctx, "k", load, opts...); err != nil || v != want {
				t.Errorf("version %d, %v; want %d", v, err, want)
			}
		}
		read(ka, load, 0) // creates the generation of the tag, is not stored
		read(ka, load, 0) // stored
		r.loads("k", 2)
		read(kb, loadB, 0)
		r.loads("k", 0)
		r.src.change("k")
		b.invalidate(larder.Tag("of-k"))
		read(ka, load, 1, larder.Exact)
		read(kb, loadB, 1, larder.Exact)
	})
}

// 1. a load begins
// 2. its source changes; the tag, which it will add, is invalidated and born
// again by somebody else
// 3. the load ends with the old value and adds the tag
func TestDynamicTagBornDuringTheLoad(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		ka, load := dynamic(a)
		kb, loadB := dynamic(b)
		for range 2 { // the tag exists and its birth is known
			if _, err := ka.Get(r.ctx, "k", load); err != nil {
				t.Fatal(err)
			}
		}
		a.invalidate(ka.Key("k"))
		gate := r.src.slow("k")
		slow := a.beginWith(ka, "k", load)
		<-gate.entered
		r.src.change("k")
		b.invalidate(larder.Tag("of-k"))
		if _, err := kb.Get(r.ctx, "other", func(ctx context.Context, _ string) (int, error) {
			larder.LoadFrom(ctx).Tag("of-k") // born again
			return 0, nil
		}); err != nil {
			t.Fatal(err)
		}
		gate.pass()
		slow.brings(t, 0) // its Get overlaps the invalidation
		v, err := kb.Get(r.ctx, "k", loadB, larder.Exact)
		if err != nil || v != 1 {
			t.Errorf("version %d, %v; want 1", v, err)
		}
	})
}

// A Get that comes after this process has invalidated a tag does not get what
// an older load brings, although nobody knew that it depends on the tag; the
// same goes for strict invalidations of others.
//
//  1. a Get leads a flight; its loader reads the source
//  2. the source changes and the tag is invalidated
//  3. another Get joins
//  4. the loader says that its value depends on the tag
func TestDynamicTagInvalidatedBeforeItIsLearned(t *testing.T) {
	for name, strictElsewhere := range map[string]bool{"here": false, "strictly elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			inSetup(t, setup{nodes: 2, cache: larder.Options{AcknowledgedStrict: true}}, func(r *rig) {
				a, b := r.two()
				k, load := dynamic(a)
				for range 2 { // the tag exists and its birth is known
					if _, err := k.Get(r.ctx, "k", load); err != nil {
						t.Fatal(err)
					}
				}
				a.invalidate(k.Key("k"))
				gate := r.src.slow("k")
				slow := a.beginWith(k, "k", load)
				<-gate.entered
				want := r.src.change("k")
				if strictElsewhere {
					b.invalidate(larder.Tag("of-k"), larder.Strict)
				} else {
					a.invalidate(larder.Tag("of-k"))
				}
				late := a.beginWith(k, "k", load)
				gate.pass()
				slow.brings(t, want-1) // its Get overlaps the invalidation
				late.brings(t, want)
			})
		})
	}
}

// The same where the loaded value is stored nowhere.
//
//  1. a Get leads a flight whose value will not be stored: it may not be, or
//     the loader will say so; its loader reads the source
//  2. the source changes and this process invalidates the tag, unconfirmed
//  3. another Get joins
//  4. the loader says that its value depends on the tag
func TestDynamicTagOfAValueThatIsNotStored(t *testing.T) {
	for name, test := range map[string]struct{ readOnly, refuses bool }{
		"an invalidation is pending": {readOnly: true},
		"the loader stores nothing":  {refuses: true},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 1, func(r *rig) {
				a := r.nodes[0]
				k, load := dynamic(a)
				if test.refuses {
					load = func(ctx context.Context, key string) (int, error) {
						v, err := r.src.load(ctx, key)
						larder.LoadFrom(ctx).Tag("of-" + key)
						larder.LoadFrom(ctx).DoNotStore()
						return v, err
					}
				}
				r.server.SetReadOnly(test.readOnly)
				if err := a.cache.Invalidate(r.ctx, k.Key("k")); test.readOnly != (err != nil) {
					t.Fatalf("Invalidate: %v", err)
				}
				gate := r.src.slow("k")
				slow := a.beginWith(k, "k", load)
				<-gate.entered
				want := r.src.change("k")
				if err := a.cache.Invalidate(r.ctx, larder.Tag("of-k")); test.readOnly != (err != nil) {
					t.Fatalf("Invalidate: %v", err)
				}
				late := a.beginWith(k, "k", load)
				gate.pass()
				slow.brings(t, want-1) // its Get overlaps the invalidation
				late.brings(t, want)
			})
		})
	}
}

// P4 with an entry whose tags this process learns from it: what the process has
// invalidated is not served, although the invalidation is confirmed meanwhile.
//
//  1. the source changes; this process invalidates a tag, unconfirmed
//  2. a Get finds an entry that carries the tag, and reads its generation
//  3. the invalidation is carried out again and confirmed
//  4. the answer of step 2 arrives, and nothing is pending
func TestPendingDynamicTagIsConfirmedDuringTheLook(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		b := r.nodes[0]
		kb, loadB := dynamic(b)
		for range 2 {
			if _, err := kb.Get(r.ctx, "k", loadB); err != nil {
				t.Fatal(err)
			}
		}
		late := &lateRemote{Remote: lardertest.NewRemote(lardertest.RemoteOptions{}, r.server), reached: make(chan struct{}), open: make(chan struct{})}
		late.key = late.TagKey("of-k")
		cache, err := larder.NewWithRemote(r.ctx, late, larder.Options{MaxStaleness: tolerance})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := cache.Close(); err != nil {
				t.Error(err)
			}
		}()
		a := &node{rig: r, remote: late.Remote, cache: cache}
		k, load := dynamic(a)

		r.server.SetReadOnly(true)
		want := r.src.change("k")
		if err := cache.Invalidate(r.ctx, larder.Tag("of-k")); !errors.Is(err, larder.ErrPending) {
			t.Fatalf("Invalidate: %v", err)
		}
		get := a.beginWith(k, "k", load)
		<-late.reached
		r.server.SetReadOnly(false)
		r.pass(2 * tolerance)
		if n := cache.Health().Pending; n != 0 {
			t.Fatalf("%d keys pending", n)
		}
		close(late.open)
		get.brings(t, want)
	})
}

// lateRemote returns the first reading of a key when it may.
type lateRemote struct {
	*lardertest.Remote
	key           string
	once          sync.Once
	reached, open chan struct{}
}

func (l *lateRemote) Do(ctx context.Context, ops []larder.Op, replies []larder.Reply) {
	l.Remote.Do(ctx, ops, replies)
	if slices.ContainsFunc(ops, func(op larder.Op) bool { return op.Kind == larder.OpGet && op.Key == l.key }) {
		l.once.Do(func() {
			close(l.reached)
			<-l.open
		})
	}
}

// beginWith is begin with a loader of its own.
func (n *node) beginWith(k *larder.Keyspace[string, int], key string, load larder.Loader[string, int]) *began {
	b := &began{done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.value, b.err = k.Get(n.rig.ctx, key, load)
	}()
	synctest.Wait()
	return b
}

// Mutate: no fill between the beginning and the end of a change survives it.
//
// 1. A begins a change: the entry is held off
// 2. B reads: from the source, the old value, stored nowhere
// 3. the change is committed
// 4. B reads: from the source, the new value
// 5. Mutate returns; B reads and fills
func TestMutate(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.get("k")
		r.loads("k", 1)
		err := a.plain.Mutate(r.ctx, "k", func(context.Context) error {
			synctest.Wait()
			b.expect("k", 0)
			r.loads("k", 1)
			r.src.change("k")
			b.expect("k", 1)
			r.loads("k", 1)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.expect("k", 1, larder.Exact)
		r.loads("k", 1)
		b.expect("k", 1, larder.Exact)
		r.loads("k", 0)
	})
}

func TestMutateReturnsTheErrorOfTheChange(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		n := r.nodes[0]
		n.get("k")
		broken := errors.New("broken")
		if err := n.plain.Mutate(r.ctx, "k", func(context.Context) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
		r.src.takeLoads("k")
		n.get("k")
		n.get("k", larder.Exact)
		r.loads("k", 1)
	})
}

// A process that dies in a change holds reads off no longer than the hold-off
// lives.
func TestMutateOfADeadProcess(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		ctx, die := context.WithCancel(r.ctx)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_ = a.plain.Mutate(ctx, "k", func(ctx context.Context) error {
				a.remote.Cut()
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		synctest.Wait()
		r.pass(11 * time.Second)
		b.get("k")
		b.get("k", larder.Exact)
		r.loads("k", 1)
		die()
		<-gone
	})
}

// HoldOff: for a while after an invalidation nothing is filled, so that a
// replica that lags behind cannot bring the old value back.
func TestHoldOffOutlastsALaggingReplica(t *testing.T) {
	for name, target := range map[string]func(n *node) larder.Target{
		"key": func(n *node) larder.Target { return n.tagged.Key("k") },
		"tag": func(*node) larder.Target { return larder.Tag("group") },
		"all": func(*node) larder.Target { return larder.All() },
	} {
		t.Run(name, func(t *testing.T) {
			const lag = 2 * time.Second
			inSetup(t, setup{nodes: 2, spaces: larder.KeyspaceOptions[string, int]{HoldOff: lag}}, func(r *rig) {
				a, b := r.two()
				a.getFrom(a.tagged, "k")
				a.invalidate(target(a)) // committed on the primary, not yet on the replica
				for range 3 {
					b.getFrom(b.tagged, "k") // version 0 from the replica
					r.pass(lag / 4)
				}
				r.src.change("k") // the replica has caught up
				r.pass(lag)
				if v := b.getFrom(b.tagged, "k"); v != 1 {
					t.Errorf("version %d, want 1", v)
				}
				r.src.takeLoads("k")
				a.getFrom(a.tagged, "k")
				r.loads("k", 0)
			})
		})
	}
}

// A Set is refused while the entry is held off.
func TestSetWhileHeldOff(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		_ = a.tagged.Mutate(r.ctx, "k", func(context.Context) error {
			if err := b.tagged.Set(r.ctx, "k", 7); err != nil && !errors.Is(err, larder.ErrHeld) {
				t.Errorf("%v", err)
			}
			r.src.change("k")
			return nil
		})
		if v := b.getFrom(b.tagged, "k", larder.Exact); v != 1 {
			t.Errorf("version %d, want 1", v)
		}
	})
}

// The journal: a server that comes back without the last deletions hears them
// again.
//
// 1. A and B hold the value; A invalidates, Redis confirms
// 2. the server is replaced by one that has the old value
// 3. both connect; A repeats its invalidation
func TestReplayAfterAFailover(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.get("k")
		r.server.Save()
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"))
		r.server.Failover()
		r.pass(2 * tolerance)
		b.expect("k", want, larder.Exact)
		a.expect("k", want, larder.Exact)
		if a.logs.containing("repeating recent invalidations") != 1 {
			t.Errorf("log: %v", a.logs.lines)
		}
	})
}

// A token of the server before is not honoured by what the one after has.
func TestTokenUnderAnotherServer(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.get("k")
		token, err := a.cache.InvalidateToken(r.ctx, a.plain.Key("k"))
		if err != nil {
			t.Fatal(err)
		}
		r.server.Save()
		r.server.Failover()
		r.pass(2 * tolerance)
		b.get("k")
		r.src.takeLoads("k")
		b.get("k", larder.After(token))
		b.get("k", larder.After(token))
		r.loads("k", 2)
	})
}

func TestTargetsAsText(t *testing.T) {
	for _, target := range []larder.Target{larder.Tag("a:b"), larder.Prefix("suites:"), larder.All()} {
		got, err := larder.ParseTarget(target.String())
		if err != nil || got != target {
			t.Errorf("%v: %v, %v", target, got, err)
		}
	}
	for _, text := range []string{"", "key", "key:", "all", "all:x", "tags:x", "strict:"} {
		if got, err := larder.ParseTarget(text); !errors.Is(err, larder.ErrInvalidKey) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// The hold-off of an entry is found by the name of its keyspace, colons and all.
func TestHoldOffOfANameWithColons(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		loads := 0
		load := func(context.Context, string) (int, error) { loads++; return loads, nil }
		c := r.nodes[0].cache
		k := space(r.T, c, "dashboard:stats", larder.KeyspaceOptions[string, int]{HoldOff: 2 * time.Second})
		get := func(want int) {
			t.Helper()
			if _, err := k.Get(r.ctx, "a:b", load); err != nil || loads != want {
				t.Errorf("%d loads, want %d, %v", loads, want, err)
			}
		}
		get(1)
		get(1)
		if err := c.Invalidate(r.ctx, k.Key("a:b")); err != nil {
			t.Error(err)
		}
		get(2) // held off: loaded and not kept
		get(3)
		r.pass(3 * time.Second)
		get(4)
		get(4)
	})
}
