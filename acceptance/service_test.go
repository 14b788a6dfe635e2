package acceptance

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// visit is one request that a visitor of the dashboard makes again and again.
type visit struct {
	path  string
	exact bool
}

// traffic sends visits at a steady rate until it is told to end.
type traffic struct {
	q       *qadash
	visits  []visit
	stop    chan struct{}
	done    chan struct{}
	mu      sync.Mutex
	answers []answer
}

func (q *qadash) traffic(perSecond int, visits ...visit) *traffic {
	f := &traffic{q: q, visits: visits, stop: make(chan struct{}), done: make(chan struct{})}
	go f.run(time.Second / time.Duration(perSecond))
	return f
}

func (f *traffic) run(every time.Duration) {
	defer close(f.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := 0; ; i++ {
		v := f.visits[i%len(f.visits)]
		wg.Go(func() {
			a := f.q.do("GET", v.path, "", v.exact)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.answers = append(f.answers, a)
		})
		select {
		case <-tick.C:
		case <-f.stop:
			return
		}
	}
}

// end stops the traffic and returns all answers in the order of the requests.
// None may have failed.
func (f *traffic) end(t *testing.T) []answer {
	t.Helper()
	close(f.stop)
	<-f.done
	for _, a := range f.answers {
		if a.err != nil || a.status != 200 {
			t.Fatalf("a request failed: %d %v %s", a.status, a.err, a.body)
		}
	}
	slices.SortFunc(f.answers, func(a, b answer) int { return a.began.Compare(b.began) })
	return f.answers
}

func slowest(answers []answer, p float64) time.Duration {
	reads := make([]Read, len(answers))
	for i, a := range answers {
		reads[i].Took = a.took
	}
	return percentile(reads, p)
}

// The dashboard answers while Redis hangs, changes are made and seen, and
// Redis is used again by itself.
func TestDashboardWhileRedisHangs(t *testing.T) {
	redis := lardertest.StartRedis(t)
	q := startQadash(t, filepath.Join(t.TempDir(), "qadash.db"), redis.Addr())
	until(t, 5*time.Second, "connected", q.connected)
	path := fmt.Sprintf("/api/v1/suites/%d", q.createSuite("before").ID)
	visitors := q.traffic(flowRate, visit{path, false}, visit{path, true}, visit{"/api/v1/suites", false},
		visit{"/api/v1/dashboard/stats", false}, visit{"/api/v1/dashboard/stats", true})
	control := q.traffic(flowRate, visit{"/healthz", false})
	<-time.After(time.Second)

	stop := time.Now()
	check(t, redis.Stop())
	<-time.After(either(3*time.Second, 10*time.Second) / 2)
	renamed := time.Now()
	q.rename(path, "during")
	took := time.Since(renamed)
	if got := q.name(path, false); got != "during" {
		t.Errorf("after a rename while Redis hangs: %q", got)
	}
	<-time.After(time.Until(stop.Add(either(3*time.Second, 10*time.Second))))
	check(t, redis.Cont())
	cont := time.Now()
	until(t, 5*time.Second, "an answer from Redis", func() bool {
		return strings.Contains(q.do("GET", "/api/v1/dashboard/stats", "", true).tiers, "redis")
	})
	recovery := time.Since(cont)
	within := func(a answer) bool { return a.began.Before(stop) || a.began.After(cont) }
	during, noise := slices.DeleteFunc(visitors.end(t), within), slices.DeleteFunc(control.end(t), within)
	t.Logf("qadash while Redis hangs for %v: %d requests, none failed, p50 %v, p99 %v, max %v (/healthz: p99 %v); a rename took %v; Redis answers %v after SIGCONT",
		cont.Sub(stop).Round(time.Millisecond), len(during), slowest(during, 50), slowest(during, 99), slowest(during, 100), slowest(noise, 99),
		took.Round(time.Millisecond), recovery.Round(time.Millisecond))
	if p99 := slowest(during, 99); p99 > 250*time.Millisecond+slowest(noise, 99) {
		t.Errorf("p99 is %v", p99)
	}
	if recovery > time.Second+slowest(noise, 100) {
		t.Errorf("recovery took %v", recovery)
	}
}

// The dashboard starts without its Redis, says so, and uses it when it appears.
func TestDashboardBeforeRedis(t *testing.T) {
	redis := lardertest.StartRedis(t)
	check(t, redis.Kill())
	q := startQadash(t, filepath.Join(t.TempDir(), "qadash.db"), redis.Addr())
	path := fmt.Sprintf("/api/v1/suites/%d", q.createSuite("early").ID)
	if got := q.name(path, true); got != "early" {
		t.Errorf("without Redis: %q", got)
	}
	if a := q.do("GET", "/readyz", "", false); a.status != 200 || !strings.Contains(string(a.body), "degraded") {
		t.Errorf("readiness without Redis: %d %s", a.status, a.body)
	}
	check(t, redis.Restart(t.Context()))
	appeared := time.Now()
	until(t, 5*time.Second, "an answer from Redis", func() bool {
		return strings.Contains(q.do("GET", "/api/v1/dashboard/stats", "", true).tiers, "redis")
	})
	t.Logf("Redis answers %v after it appeared", time.Since(appeared).Round(time.Millisecond))
	if !q.connected() {
		t.Error("readiness does not say that Redis is back")
	}
}
