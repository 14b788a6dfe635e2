package sqlstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// Seed implements [dashboard.Seeder]. All of it is one transaction.
func (s *Store) Seed(ctx context.Context, options dashboard.SeedOptions) (dashboard.Change, error) {
	return s.mutate(ctx, func(t *txn) error {
		var suites int64
		if err := t.row(ctx, "SELECT count(*) FROM suites WHERE deleted_at IS NULL").Scan(&suites); err != nil {
			return fmt.Errorf("count suites: %w", err)
		}
		if suites > 0 {
			return &dashboard.ConflictError{Kind: dashboard.KindSuite, Reason: "demo data is for an empty database, and this one has suites"}
		}
		for _, run := range newDemo(options, t.now).runs() {
			if err := t.seedRun(ctx, run); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *txn) seedRun(ctx context.Context, run demoRun) error {
	in, err := run.Ingestion.Normal()
	if err != nil {
		return err
	}
	var report dashboard.IngestReport
	if err := t.ingest(ctx, in, &report); err != nil {
		return err
	}
	if !report.SuiteCreated {
		return nil
	}
	_, err = t.exec(ctx, "UPDATE suites SET description = ?, framework_type = ?, created_by = ?, created_at = ? WHERE id = ?",
		run.suite.description, run.suite.framework, "demo", millis(*in.StartedAt), report.Execution.SuiteID)
	if err != nil {
		return fmt.Errorf("describe suite: %w", err)
	}
	_, err = t.exec(ctx, "UPDATE cases SET created_at = ?, updated_at = ? WHERE suite_id = ?", millis(*in.StartedAt), millis(*in.StartedAt), report.Execution.SuiteID)
	return err
}

// demo makes the same runs for the same seed and the same day.
type demo struct {
	options dashboard.SeedOptions
	now     time.Time
	random  *rand.Rand
}

func newDemo(o dashboard.SeedOptions, now time.Time) *demo {
	for _, d := range []struct {
		field    *int
		fallback int
	}{{&o.Days, 30}, {&o.Suites, len(demoSuites)}, {&o.CasesPerSuite, 24}, {&o.RunsPerDay, 4}} {
		if *d.field <= 0 {
			*d.field = d.fallback
		}
	}
	o.Suites = min(o.Suites, len(demoSuites))
	if o.Seed == 0 {
		o.Seed = 1
	}
	return &demo{options: o, now: now, random: rand.New(rand.NewPCG(o.Seed, 0))} //nolint:gosec // demo data must repeat
}

// demoRun is one execution of the demo.
type demoRun struct {
	dashboard.Ingestion
	suite demoSuite
}

// runs returns all runs, the oldest first, so that ids grow with time.
func (d *demo) runs() []demoRun {
	var out []demoRun
	last := d.now.Add(-5 * time.Minute)
	for back := d.options.Days - 1; back >= 0; back-- {
		date := d.now.AddDate(0, 0, -back)
		perDay := d.options.RunsPerDay
		if wd := date.Weekday(); wd == time.Saturday || wd == time.Sunday {
			perDay = (perDay + 3) / 4
		}
		for slot := range perDay {
			at := time.Date(date.Year(), date.Month(), date.Day(), 7+slot*12/perDay, 0, 0, 0, time.UTC)
			commit := fmt.Sprintf("%07x", d.random.Uint32()&0xfffffff)
			for i, suite := range demoSuites[:d.options.Suites] {
				start := at.Add(time.Duration(i*4+d.random.IntN(4)) * time.Minute)
				run := d.run(suite, start, d.options.Days-1-back, commit)
				again := d.again(run)
				for _, r := range append([]demoRun{run}, again...) {
					if r.StartedAt.Add(time.Duration(r.Report.DurationMS) * time.Millisecond).Before(last) {
						out = append(out, r)
					}
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b demoRun) int { return a.StartedAt.Compare(*b.StartedAt) })
	return out
}

// again repeats some runs that failed on the same commit, as people do who hope
// that it was chance.
func (d *demo) again(failed demoRun) []demoRun {
	if failed.Report.Verdict() == dashboard.StatusPassed || d.random.IntN(2) == 0 {
		return nil
	}
	start := failed.StartedAt.Add(40 * time.Minute)
	day := d.options.Days - 1 - int(d.now.Sub(start)/day)
	run := d.run(failed.suite, start, day, failed.Commit)
	run.Branch = failed.Branch
	return []demoRun{run}
}

func (d *demo) run(suite demoSuite, start time.Time, day int, commit string) demoRun {
	branch := "main"
	if d.random.IntN(5) == 0 {
		branch = demoBranches[d.random.IntN(len(demoBranches))]
	}
	run := demoRun{suite: suite}
	run.Suite, run.TestType, run.StartedAt = suite.name, suite.kind, &start
	run.ContentHash = fmt.Sprintf("demo-%016x", d.random.Uint64())
	run.Run = run.ContentHash
	run.NewExecution = dashboard.NewExecution{ExecutedBy: "ci", ExecutionType: "ci", Environment: suite.environment, Branch: branch, Commit: commit}
	run.Report = dashboard.Report{Format: "demo", Suites: 1}
	for i := range d.options.CasesPerSuite {
		c := d.outcome(suite, i, day)
		run.Report.Cases = append(run.Report.Cases, c)
		run.Report.DurationMS += c.DurationMS
	}
	return run
}

// outcome decides one case: most pass always, some are flaky, some broke on a day
// and were mended some days later, one is skipped, and each suite has days of trouble.
func (d *demo) outcome(suite demoSuite, i, day int) dashboard.ReportCase {
	c := dashboard.ReportCase{Name: suite.caseName(i), Status: dashboard.StatusPassed}
	base := suite.millis * int64(1+(i*7)%11) / 4
	c.DurationMS = base + d.random.Int64N(base/4+1) + int64(day)*base/200
	chance := d.random.Float64()
	switch {
	case i == suite.skipped:
		c.Status, c.DurationMS, c.Message = dashboard.StatusSkipped, 0, "needs a licence that this environment lacks"
	case i%11 == 3 && chance < 0.11:
		c = d.flaky(suite, c, chance < 0.03)
	case i == suite.broken && day >= suite.from && day < suite.until:
		c.Status, c.Message = dashboard.StatusFailed, suite.message(i)
	case chance > 0.9993:
		c.Status, c.Message = dashboard.StatusError, "connection to "+suite.environment+" was reset by peer"
	}
	if c.Status == dashboard.StatusFailed || c.Status == dashboard.StatusError {
		c.Stack = suite.stack(i, c.Message)
	}
	return c
}

// flaky fails, or fails and passes at the second attempt.
func (d *demo) flaky(suite demoSuite, c dashboard.ReportCase, forGood bool) dashboard.ReportCase {
	message := fmt.Sprintf("timed out after %d ms waiting for %s", 5000+d.random.IntN(900), suite.waits)
	if forGood {
		c.Status, c.Message = dashboard.StatusFailed, message
		return c
	}
	c.Flaky = true
	c.Attempts = []dashboard.Attempt{
		{Status: dashboard.StatusFailed, DurationMS: c.DurationMS, Message: message, Stack: suite.stack(3, message)},
		{Status: dashboard.StatusPassed, DurationMS: c.DurationMS / 2},
	}
	return c
}
