package redistier

import (
	"fmt"
	"testing"
	"time"

	"github.com/larder-go/larder"
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

// TestClusterConformance runs the suite over a cluster that all its tests
// share, each in a namespace of its own.
func TestClusterConformance(t *testing.T) {
	t.Parallel()
	cluster := lardertest.StartCluster(t)
	n := 0
	lardertest.RunRemote(t, func(t *testing.T) lardertest.Site {
		n++
		cfg := Config{Topology: Cluster, Addresses: cluster.Addrs(), BeatTimeout: 500 * time.Millisecond}
		site := lardertest.Site{Door: lardertest.OpenClusterDoor(t, cluster), Shared: true}
		for _, remote := range []*larder.Remote{&site.A, &site.B} {
			tier, err := New(cfg, fmt.Sprint("shop", n))
			if err != nil {
				t.Fatal(err)
			}
			*remote = tier
		}
		return site
	})
}
