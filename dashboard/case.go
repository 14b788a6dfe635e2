package dashboard

import (
	"slices"
	"strings"
	"time"
)

// TestType says what a case tests.
type TestType string

// TestTypes lists the test types.
var TestTypes = []TestType{"api", "ui", "db", "security", "performance", "mobile", "unit"}

// DefaultTestType is the type of a case that names none.
const DefaultTestType TestType = "unit"

// Priority says how much a case matters.
type Priority string

// Priorities lists the priorities, the lowest first.
var Priorities = []Priority{"low", "medium", "high", "critical"}

// DefaultPriority is the priority of a case that names none.
const DefaultPriority Priority = "medium"

// Case is one test case of a suite.
type Case struct {
	ID          int64     `json:"id"`
	SuiteID     int64     `json:"suite_id"`
	SuiteName   string    `json:"suite_name"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	TestCode    string    `json:"test_code"`
	TestType    TestType  `json:"test_type"`
	Priority    Priority  `json:"priority"`
	Tags        []string  `json:"tags"`
	IsActive    bool      `json:"is_active"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// NewCase is what a caller says about a new case.
type NewCase struct {
	SuiteID     int64    `json:"suite_id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	TestCode    string   `json:"test_code"`
	TestType    TestType `json:"test_type"`
	Priority    Priority `json:"priority"`
	Tags        []string `json:"tags"`
	// IsActive defaults to true.
	IsActive *bool `json:"is_active"`
}

// Normal returns the case with defaults filled in, or an [InvalidError].
func (n NewCase) Normal() (NewCase, error) {
	var c checker
	n.Name = strings.TrimSpace(n.Name)
	n.TestType = or(n.TestType, DefaultTestType)
	n.Priority = or(n.Priority, DefaultPriority)
	n.Tags = slices.Compact(slices.Sorted(slices.Values(n.Tags)))
	if n.Tags == nil {
		n.Tags = []string{}
	}
	if n.IsActive == nil {
		n.IsActive = new(true)
	}
	c.check(n.SuiteID > 0, "suite_id", "must be the id of a suite")
	c.name("name", n.Name, MaxCaseName)
	c.text("description", n.Description, MaxDescription)
	c.text("test_code", n.TestCode, MaxTestCode)
	c.check(oneOf(n.TestType, TestTypes), "test_type", list(TestTypes))
	c.check(oneOf(n.Priority, Priorities), "priority", list(Priorities))
	c.tags("tags", n.Tags)
	return n, c.err()
}

// CasePatch changes the fields that are not nil.
type CasePatch struct {
	SuiteID     *int64    `json:"suite_id"`
	Name        *string   `json:"name"`
	Description *string   `json:"description"`
	TestCode    *string   `json:"test_code"`
	TestType    *TestType `json:"test_type"`
	Priority    *Priority `json:"priority"`
	Tags        *[]string `json:"tags"`
	IsActive    *bool     `json:"is_active"`
}

// Apply returns the case with the patch applied, or an [InvalidError].
func (p CasePatch) Apply(c Case) (Case, error) {
	in := NewCase{
		SuiteID: value(p.SuiteID, c.SuiteID), Name: value(p.Name, c.Name),
		Description: value(p.Description, c.Description), TestCode: value(p.TestCode, c.TestCode),
		TestType: value(p.TestType, c.TestType), Priority: value(p.Priority, c.Priority),
		Tags: value(p.Tags, c.Tags), IsActive: new(value(p.IsActive, c.IsActive)),
	}
	in, err := in.Normal()
	if err != nil {
		return c, err
	}
	c.SuiteID, c.Name, c.Description, c.TestCode = in.SuiteID, in.Name, in.Description, in.TestCode
	c.TestType, c.Priority, c.Tags, c.IsActive = in.TestType, in.Priority, in.Tags, *in.IsActive
	return c, nil
}

// CaseFilter selects cases. The zero value selects all.
type CaseFilter struct {
	// SuiteID selects the cases of one suite; 0 means all.
	SuiteID  int64    `json:"suite_id,omitempty"`
	TestType TestType `json:"test_type,omitempty"`
	Priority Priority `json:"priority,omitempty"`
	Active   *bool    `json:"is_active,omitempty"`
	// Query selects names that contain the text, whatever the case of ASCII letters.
	Query string `json:"q,omitempty"`
}

// Check returns an [InvalidError] for a filter that cannot be.
func (f CaseFilter) Check() error {
	var c checker
	c.check(f.SuiteID >= 0, "suite_id", "must not be negative")
	c.check(f.TestType == "" || oneOf(f.TestType, TestTypes), "test_type", list(TestTypes))
	c.check(f.Priority == "" || oneOf(f.Priority, Priorities), "priority", list(Priorities))
	c.text("q", f.Query, MaxQuery)
	return c.err()
}

func or[T ~string](v, fallback T) T {
	if v == "" {
		return fallback
	}
	return v
}
