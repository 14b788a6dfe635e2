package lardertest_test

import (
	"context"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// TestConsistencyOverflow holds P2 and P3 where Redis forgets keys while it
// executes commands of the very node that keeps them: for lack of memory, or
// because its tracking table is full. With NOLOOP it tells that node nothing.
// Clients that may not ask for the limit of the table are told.
func TestConsistencyOverflow(t *testing.T) {
	countCycles(t)
	const staleness = 250 * time.Millisecond
	squeezes := map[string][2][]string{
		"tracking table": {{"tracking-table-max-keys", "10"}, {"tracking-table-max-keys", "1000000"}},
		"memory":         {{"maxmemory", "2mb"}, {"maxmemory", "0"}},
	}
	for name, squeeze := range squeezes {
		for _, strict := range []bool{false, true} {
			t.Run(name+map[bool]string{true: "/strict"}[strict], func(t *testing.T) {
				t.Parallel()
				cfg := redistier.Config{TrackingTableKeys: 10}
				if strict || name == "memory" {
					cfg.TrackingTableKeys = 0
				}
				s := lardertest.StartRedis(t, lardertest.RedisOptions{AllRights: cfg.TrackingTableKeys == 0, Args: []string{"--maxmemory-policy", "allkeys-random"}})
				cfg.Address = s.Addr()
				c := lardertest.NewChecker(lardertest.CheckerOptions{SlowLoad: slowest})
				a, b := openOn(t, c, cfg, staleness), openOn(t, c, cfg, staleness)
				a.strict, b.strict = strict, strict
				set := func(args []string) {
					if _, err := s.Command("CONFIG", "SET", args[0], args[1]); err != nil {
						t.Error(err)
					}
				}
				r := c.Run(t.Context(), lardertest.Workload{Workers: 32, Lasts: 4 * time.Second, Chaos: func(ctx context.Context) {
					for wait(ctx, 200*time.Millisecond) {
						set(squeeze[0])
						wait(ctx, 200*time.Millisecond)
						set(squeeze[1])
						wait(ctx, 600*time.Millisecond)
					}
					set(squeeze[1])
				}}, a, b)
				t.Log("\n" + r.String())
				if r.AgeMax >= staleness || strict && r.Stale > 0 {
					t.Errorf("%d stale reads, invalid for up to %v", r.Stale, r.AgeMax)
				}
			})
		}
	}
}
