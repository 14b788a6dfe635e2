package larder_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// P3: what was loaded past Redis is told of no push; a strict invalidation must
// end it all the same. Found by the simulation.
func TestP3_ValuesLoadedWithoutRedis(t *testing.T) {
	for name, lose := range map[string]func(r *rig, b *node){
		"lost connection": func(r *rig, b *node) {
			b.remote.Cut()
			synctest.Wait()
			b.get("k")
			b.remote.Resume()
			r.pass(100 * time.Millisecond) // connected again
		},
		"failed read": func(r *rig, b *node) {
			r.failing(b, larder.OpGet, lardertest.ReplyError)
			b.get("k")
			r.healthy()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inSetup(t, setup{nodes: 2, cache: larder.Options{AcknowledgedStrict: true}}, func(r *rig) {
				a, b := r.two()
				lose(r, b)
				b.get("k")
				r.src.takeLoads("k")
				b.get("k")
				r.loads("k", 0) // the value is in memory
				start := time.Now()
				want := r.src.change("k")
				a.invalidate(a.plain.Key("k"), larder.Strict)
				if time.Since(start) > 0 {
					t.Fatal("was not acknowledged, but waited for")
				}
				b.expect("k", want)
			})
		})
	}
}

// While a process is not connected, nobody can acknowledge for it: the
// invalidation waits until what it holds is too old.
func TestP3_ProcessWithoutConnection(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.remote.Cut()
		synctest.Wait()
		b.get("k")
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"), larder.Strict)
		b.expect("k", want)
	})
}

// The same for a load that is under way past Redis: later Gets do not join it.
func TestP3_LoadsWithoutRedisUnderWay(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		r.failing(b, larder.OpGet, lardertest.ReplyError)
		gate := r.src.slow("k")
		slow := b.begin("k")
		r.healthy()
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"), larder.Strict)
		late := b.begin("k")
		gate.pass()
		slow.brings(t, want-1)
		late.brings(t, want)
		b.expect("k", want)
	})
}
