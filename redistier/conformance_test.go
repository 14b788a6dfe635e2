package redistier

import (
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// TestConformance runs the suite that every remote tier has to pass.
func TestConformance(t *testing.T) {
	lardertest.RunRemote(t, func(t *testing.T) lardertest.Site {
		srv := lardertest.StartRedis(t)
		cfg := Config{Address: srv.Addr(), BeatTimeout: 500 * time.Millisecond}
		a, err := New(cfg, "shop")
		if err != nil {
			t.Fatal(err)
		}
		b, err := New(cfg, "shop")
		if err != nil {
			t.Fatal(err)
		}
		return lardertest.Site{A: a, B: b, Door: lardertest.OpenBackDoor(t, srv)}
	})
}
