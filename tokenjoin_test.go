package larder_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// tokenReads are reads of k that carry a token.
var tokenReads = map[string]func(n *node, token larder.Token) (int, error){
	"Get": func(n *node, token larder.Token) (int, error) {
		return n.plain.Get(n.rig.ctx, "k", n.rig.src.load, larder.After(token))
	},
	"GetMany": func(n *node, token larder.Token) (int, error) {
		values, err := n.plain.GetMany(n.rig.ctx, []string{"k"}, n.rig.src.loadMany, larder.After(token))
		return values["k"], err
	},
}

// A read whose token Redis cannot honour is not given what a flight of others
// found there, though it joined that before:
//
//  1. C loads k, which a Get of B waits for
//  2. k changes; Redis does not answer A's invalidation
//  3. reads of B carry the token of that, and could join the flight of the Get
//  4. C stores what it loaded; the Get of B finds it
func TestTokenJoinsNoFlight(t *testing.T) {
	for name, read := range tokenReads {
		t.Run(name, func(t *testing.T) {
			inRig(t, 3, func(r *rig) {
				a, b := r.two()
				gate := r.src.slow("k")
				c := r.nodes[2].begin("k")
				first := b.begin("k", larder.Exact)
				want := r.src.change("k")
				r.failing(a, larder.OpDelete, lardertest.ReplyError)
				token, err := a.cache.InvalidateToken(r.ctx, a.plain.Key("k"))
				if !errors.Is(err, larder.ErrPending) {
					t.Fatalf("%v, want ErrPending", err)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					if v, err := read(b, token); err != nil || v != want {
						t.Errorf("version %d, %v, want %d", v, err, want)
					}
				}()
				r.pass(0)
				gate.pass()
				c.brings(t, 0)
				first.brings(t, 0)
				<-done
				r.healthy()
			})
		})
	}
}

// While Redis fails, reads with tokens share a load that begins after them.
func TestTokensShareALoad(t *testing.T) {
	inSetup(t, setup{nodes: 1, delay: time.Millisecond}, func(r *rig) {
		a := r.nodes[0]
		r.failing(a, larder.OpDelete, lardertest.ReplyError)
		token, _ := a.cache.InvalidateToken(r.ctx, a.plain.Key("other"))
		r.failing(a, larder.OpGet, lardertest.ReplyError)
		want := r.src.change("k")
		first := a.begin("k", larder.Exact)
		var wg sync.WaitGroup
		for _, read := range tokenReads {
			wg.Go(func() {
				if v, err := read(a, token); err != nil || v != want {
					t.Errorf("version %d, %v, want %d", v, err, want)
				}
			})
		}
		first.brings(t, want)
		wg.Wait()
		r.loads("k", 1)
		r.healthy()
	})
}
