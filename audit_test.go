package larder_test

import (
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// auditing declares a keyspace that compares every answer from memory.
func auditing(n *node, found chan<- larder.Finding[string, int]) *larder.Keyspace[string, int] {
	return space(n.rig.T, n.cache, "audited", larder.KeyspaceOptions[string, int]{
		Audit: &larder.AuditOptions[string, int]{
			Every:  time.Millisecond,
			Load:   n.rig.src.load,
			Report: func(f larder.Finding[string, int]) { found <- f },
		},
	})
}

// A change that nobody invalidated is what an audit is there to find.
func TestAuditFindsAChangeThatNobodyInvalidated(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		n := r.nodes[0]
		found := make(chan larder.Finding[string, int], 1)
		k := auditing(n, found)
		n.getFrom(k, "k")
		r.src.change("k")
		n.getFrom(k, "k")
		r.pass(2 * tolerance)
		select {
		case f := <-found:
			if want := (larder.Finding[string, int]{Key: "k", Tier: "remote", Cached: 0, Source: 1}); f != want {
				t.Errorf("%+v, want %+v", f, want)
			}
		default:
			t.Error("nothing was found")
		}
		s := n.cache.Stats().Keyspaces["audited"]
		if s.Audited == 0 || s.AuditRemote != 1 || n.logs.containing("audit:") != 1 {
			t.Errorf("%+v, %v", s, n.logs.lines)
		}
	})
}

// Changes that are invalidated give no finding, though answers differ from the
// source for a moment.
func TestAuditAdmitsWhatIsPromised(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		found := make(chan larder.Finding[string, int], 100)
		k := auditing(b, found)
		other := space(t, a.cache, "audited", larder.KeyspaceOptions[string, int]{})
		for range 50 {
			b.getFrom(k, "k")
			b.remote.HoldPushes()
			r.src.change("k")
			b.getFrom(k, "k") // old and audited
			r.pass(tolerance / 10)
			a.invalidate(other.Key("k"))
			b.remote.Resume()
			r.pass(3 * tolerance)
		}
		if len(found) > 0 {
			t.Errorf("%d findings, the first: %+v", len(found), <-found)
		}
		if s := b.cache.Stats().Keyspaces["audited"]; s.Audited < 50 {
			t.Errorf("%d answers compared", s.Audited)
		}
	})
}

func TestAuditNeedsALoader(t *testing.T) {
	c, err := larder.New(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = larder.NewKeyspace(c, "x", larder.KeyspaceOptions[string, int]{Audit: &larder.AuditOptions[string, int]{}})
	if err == nil || !strings.Contains(err.Error(), "Audit.Load") {
		t.Errorf("%v", err)
	}
}
