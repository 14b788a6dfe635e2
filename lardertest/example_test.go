package lardertest_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/larder-go/larder/lardertest"
)

// service stands for a service of yours that caches rows. Get must call the
// checker where it would ask its database.
type service struct {
	db *lardertest.Checker

	mu   sync.Mutex
	rows map[int]uint64
}

func (s *service) Get(ctx context.Context, id int) (uint64, error) {
	s.mu.Lock()
	version, ok := s.rows[id]
	s.mu.Unlock()
	if ok {
		return version, nil
	}
	version, err := s.db.Load(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[id] = version // a change may have been invalidated meanwhile
	return version, err
}

func (s *service) Invalidate(_ context.Context, id int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, id)
	return nil
}

// A service that sets what it loaded, without asking what happened meanwhile,
// serves stale rows. The checker finds them in any cache.
func ExampleChecker() {
	checker := lardertest.NewChecker(lardertest.CheckerOptions{Keys: 64, SlowLoad: 1e6})
	mine := &service{db: checker, rows: map[int]uint64{}}
	report := checker.Run(context.Background(), lardertest.Workload{Reads: 300_000, ReadsPerWrite: 50}, mine)
	fmt.Println("stale reads found:", report.Stale > 0)
	// Output: stale reads found: true
}
