package cachedstore

import (
	"strconv"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
)

// The tags. Each names what an entry depends on besides its own key.
const (
	tagSuites      = "suites"      // lists of suites, and the number of cases in them
	tagSuiteNames  = "suite-names" // the name of any suite, which cases and executions show
	tagCases       = "cases"       // lists over the cases of all suites
	tagExecutions  = "executions"  // lists over the executions of all suites
	tagStats       = "stats"
	tagTrends      = "trends"
	tagRecent      = "recent"
	tagTypes       = "types"
	tagPerformance = "performance"
	tagHealth      = "health"
	tagResults     = "results"  // results of any execution
	tagOutcomes    = "outcomes" // results of executions that have ended
	// tagRows covers every single row: one deletion instead of thousands after a
	// mutation that touched that many.
	tagRows = "rows"
)

// manyRows is the number of rows of one mutation from which they are invalidated together.
const manyRows = 200

func tagCasesOf(suite int64) string      { return "cases:suite:" + strconv.FormatInt(suite, 10) }
func tagExecutionsOf(suite int64) string { return "executions:suite:" + strconv.FormatInt(suite, 10) }

// targetSet collects targets, each once.
type targetSet struct {
	list []larder.Target
	tags map[string]bool
}

func (t *targetSet) tag(names ...string) {
	for _, name := range names {
		if !t.tags[name] {
			t.tags[name] = true
			t.list = append(t.list, larder.Tag(name))
		}
	}
}

// Targets returns what a change invalidates. It depends on nothing else, so an
// outbox may store the change and derive the targets when it carries them out.
func (s *Store) Targets(change dashboard.Change) []larder.Target {
	t := &targetSet{tags: make(map[string]bool)}
	if len(change.Suites)+len(change.Cases)+len(change.Executions) >= manyRows {
		t.tag(tagRows)
	} else {
		t.list = s.rows(change)
	}
	t.lists(change)
	return t.list
}

// targets is Targets where there is no cache to name keys with: rows go by their tag.
func targets(change dashboard.Change) []larder.Target {
	t := &targetSet{tags: make(map[string]bool)}
	t.tag(tagRows)
	t.lists(change)
	return t.list
}

// rows are the keys of the rows that a change touched, and of the suites whose
// number of cases it may have changed.
func (s *Store) rows(change dashboard.Change) (keys []larder.Target) {
	suites := make(map[int64]bool)
	for _, c := range change.Suites {
		suites[c.ID] = true
	}
	for _, c := range change.Cases {
		keys = append(keys, s.spaces.testCase.space.Key(c.ID))
		suites[c.SuiteID], suites[c.OldSuiteID] = true, true
	}
	for _, c := range change.Executions {
		keys = append(keys, s.spaces.execution.space.Key(c.ID))
	}
	for id := range suites {
		keys = append(keys, s.spaces.suite.space.Key(id))
	}
	return keys
}

// lists adds the tags of everything but rows.
func (t *targetSet) lists(change dashboard.Change) {
	for _, c := range change.Suites {
		t.suite(c)
	}
	for _, c := range change.Cases {
		t.testCase(c)
	}
	for _, c := range change.Executions {
		t.execution(c)
	}
}

func (t *targetSet) suite(c dashboard.SuiteChange) {
	t.tag(tagSuites)
	if c.Op == dashboard.Created {
		t.tag(tagStats)
		return
	}
	t.tag(tagSuiteNames, tagCases, tagCasesOf(c.ID), tagExecutions, tagExecutionsOf(c.ID), tagRecent, tagPerformance, tagHealth)
	if c.Op == dashboard.Deleted {
		t.tag(tagStats, tagTypes)
	}
}

func (t *targetSet) testCase(c dashboard.CaseChange) {
	t.tag(tagCases, tagCasesOf(c.SuiteID), tagCasesOf(c.OldSuiteID), tagTypes)
	if c.Op != dashboard.Updated || c.SuiteID != c.OldSuiteID {
		t.tag(tagSuites, tagStats)
	}
}

func (t *targetSet) execution(c dashboard.ExecutionChange) {
	t.tag(tagExecutions, tagExecutionsOf(c.SuiteID), tagStats, tagTrends, tagRecent, tagPerformance, tagHealth)
	if c.Results || c.Finished {
		t.tag(tagResults)
	}
	if c.Finished {
		t.tag(tagOutcomes)
	}
}
