package sqlstore_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/dashboard/storetest"
)

// The demo is a picture of the product: it must have what each page shows, be the
// same for the same seed, and never mix with real data.
func TestSeedIsADemoOfEveryPage(t *testing.T) {
	clock := storetest.NewClock()
	stats := make([]dashboard.Stats, 2)
	for i := range stats {
		s := openFile(t, emptydb.SQLite(t), sqlstore.Options{Now: clock.Now})
		change, err := s.Seed(t.Context(), dashboard.SeedOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if stats[i], err = s.Stats(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(change.Suites) != 8 || int64(len(change.Executions)) != stats[i].TotalExecutions {
			t.Fatalf("the change lists %d suites and %d executions of %+v", len(change.Suites), len(change.Executions), stats[i])
		}
		if _, err := s.Seed(t.Context(), dashboard.SeedOptions{}); !errors.Is(err, dashboard.ErrConflict) {
			t.Fatalf("seeding twice gave %v", err)
		}
		checkDemo(t, s)
	}
	if !reflect.DeepEqual(stats[0], stats[1]) {
		t.Fatalf("one seed gave two demos: %+v and %+v", stats[0], stats[1])
	}
}

func checkDemo(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	days, err := s.Trends(t.Context(), 30, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range days {
		if d.Total == 0 {
			t.Errorf("no execution on %s", d.Date)
		}
	}
	health, err := s.Health(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	red := 0
	for _, h := range health {
		if h.Red {
			red++
		}
	}
	if len(health) != 8 || red == 0 || red == 8 {
		t.Errorf("%d of %d suites are red", red, len(health))
	}
	st, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.SuccessRate < 50 || st.SuccessRate > 98 || st.TotalExecutions < 300 || st.TotalCases != 8*24 {
		t.Errorf("stats of the demo: %+v", st)
	}
	checkInsights(t, s)
	t.Logf("%+v, %d red", st, red)
}

// checkInsights holds that the pages on flaky cases, slow cases and errors have something to show.
func checkInsights(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	flaky, err := s.Flaky(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	mixed := 0
	for _, f := range flaky {
		mixed += f.MixedCommits
	}
	slow, err := s.Slowest(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	top, err := s.TopErrors(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(flaky) < 3 || len(flaky) > 60 || mixed == 0 || len(slow) != 10 || len(top) < 5 {
		t.Errorf("the demo has %d flaky cases with %d mixed commits, %d slow ones and %d errors", len(flaky), mixed, len(slow), len(top))
	}
	t.Logf("%d flaky cases with %d mixed commits, %d errors", len(flaky), mixed, len(top))
}
