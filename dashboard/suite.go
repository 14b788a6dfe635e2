package dashboard

import (
	"encoding/json"
	"strings"
	"time"
)

// DefaultFramework is the framework_type of a suite that names none.
const DefaultFramework = "pytest"

// FrameworkOf returns the framework_type of a suite that comes to be by a report
// of a format: what the report says, which is not which program wrote it.
func FrameworkOf(format string) string {
	if format == "gotest" {
		return "go test"
	}
	return format
}

// Suite is a set of test cases.
type Suite struct {
	ID            int64           `json:"id"`
	Name          string          `json:"name"`
	Description   string          `json:"description"`
	FrameworkType string          `json:"framework_type"`
	Config        json.RawMessage `json:"config"`
	IsActive      bool            `json:"is_active"`
	CreatedBy     string          `json:"created_by"`
	CreatedAt     time.Time       `json:"created_at"`
	UpdatedAt     time.Time       `json:"updated_at"`
	// CaseCount counts the cases that are not deleted.
	CaseCount int64 `json:"case_count"`
}

// NewSuite is what a caller says about a new suite.
type NewSuite struct {
	Name          string          `json:"name"`
	Description   string          `json:"description"`
	FrameworkType string          `json:"framework_type"`
	Config        json.RawMessage `json:"config"`
	// IsActive defaults to true.
	IsActive  *bool  `json:"is_active"`
	CreatedBy string `json:"created_by"`
}

// Normal returns the suite with defaults filled in, or an [InvalidError].
func (s NewSuite) Normal() (NewSuite, error) {
	var c checker
	s.Name = strings.TrimSpace(s.Name)
	if s.FrameworkType == "" {
		s.FrameworkType = DefaultFramework
	}
	if s.IsActive == nil {
		s.IsActive = new(true)
	}
	c.name("name", s.Name, MaxSuiteName)
	c.text("description", s.Description, MaxDescription)
	c.name("framework_type", s.FrameworkType, MaxLabel)
	c.text("created_by", s.CreatedBy, MaxLabel)
	s.Config = c.object("config", s.Config)
	return s, c.err()
}

// SuitePatch changes the fields that are not nil.
type SuitePatch struct {
	Name          *string          `json:"name"`
	Description   *string          `json:"description"`
	FrameworkType *string          `json:"framework_type"`
	Config        *json.RawMessage `json:"config"`
	IsActive      *bool            `json:"is_active"`
}

// Apply returns the suite with the patch applied, or an [InvalidError].
func (p SuitePatch) Apply(s Suite) (Suite, error) {
	in := NewSuite{
		Name: value(p.Name, s.Name), Description: value(p.Description, s.Description),
		FrameworkType: value(p.FrameworkType, s.FrameworkType), Config: value(p.Config, s.Config),
		IsActive: new(value(p.IsActive, s.IsActive)),
	}
	in, err := in.Normal()
	if err != nil {
		return s, err
	}
	s.Name, s.Description, s.FrameworkType = in.Name, in.Description, in.FrameworkType
	s.Config, s.IsActive = in.Config, *in.IsActive
	return s, nil
}

// SuiteFilter selects suites. The zero value selects all.
type SuiteFilter struct {
	// Active selects by is_active; nil means both.
	Active *bool `json:"is_active,omitempty"`
	// Query selects names that contain the text, whatever the case of ASCII letters.
	Query string `json:"q,omitempty"`
}

// Check returns an [InvalidError] for a filter that cannot be.
func (f SuiteFilter) Check() error {
	var c checker
	c.text("q", f.Query, MaxQuery)
	return c.err()
}

func value[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}
