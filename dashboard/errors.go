package dashboard

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that callers branch on.
var (
	// ErrNotFound means that the named thing does not exist or is deleted. See [NotFoundError].
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the present state forbids the change. See [ConflictError].
	ErrConflict = errors.New("conflict")
	// ErrInvalid means that the input is wrong. See [InvalidError] and [ReportError].
	ErrInvalid = errors.New("invalid")
	// ErrUnavailable means that the database cannot be reached or is too busy to
	// answer; the same call may succeed later. Whether a mutation that was being
	// committed took place is not known.
	ErrUnavailable = errors.New("database unavailable")
	// ErrSchema means that migrations of the database are pending: it has an older
	// schema than this program needs.
	ErrSchema = errors.New("database has an older schema")
	// ErrFull means that the database has no room for a change; nothing was changed.
	ErrFull = errors.New("database full")
)

// Kind names a kind of thing in errors and changes.
type Kind string

// The kinds.
const (
	KindSuite     Kind = "suite"
	KindCase      Kind = "case"
	KindExecution Kind = "execution"
	KindResult    Kind = "result"
	KindToken     Kind = "token"
	KindWebhook   Kind = "webhook"
)

// NotFoundError says what was not found; it is an [ErrNotFound].
type NotFoundError struct {
	Kind Kind
	ID   int64
}

// Error implements error.
func (e *NotFoundError) Error() string { return fmt.Sprintf("%s %d not found", e.Kind, e.ID) }

// Is reports whether target is ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// ConflictError says which state forbids the change; it is an [ErrConflict].
type ConflictError struct {
	Kind Kind
	// ID of the thing in the way; 0 when it has none.
	ID int64
	// State is the present state for an illegal transition, else empty.
	State Status
	// Field is the field in conflict for a name in use, else empty.
	Field string
	// Reason is a sentence without a full stop.
	Reason string
}

// Error implements error.
func (e *ConflictError) Error() string {
	if e.ID == 0 {
		return fmt.Sprintf("%s: %s", e.Kind, e.Reason)
	}
	return fmt.Sprintf("%s %d: %s", e.Kind, e.ID, e.Reason)
}

// Is reports whether target is ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// FieldError names a wrong field by its JSON name and says why.
type FieldError struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// InvalidError lists every wrong field; it is an [ErrInvalid].
type InvalidError struct {
	Fields []FieldError
}

// Error implements error.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Reason
	}
	return strings.Join(parts, "; ")
}

// Is reports whether target is ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Invalid returns an error about one field.
func Invalid(field, reason string) error {
	return &InvalidError{Fields: []FieldError{{Field: field, Reason: reason}}}
}

// ReportError says which line of an uploaded report is wrong; it is an [ErrInvalid].
type ReportError struct {
	// Line counts from 1; 0 means that the report as a whole is wrong.
	Line int
	// Reason is a phrase without a full stop.
	Reason string
	// TooLarge says that a limit on size or number was passed.
	TooLarge bool
}

// Error implements error.
func (e *ReportError) Error() string {
	if e.Line == 0 {
		return "report: " + e.Reason
	}
	return fmt.Sprintf("report: line %d: %s", e.Line, e.Reason)
}

// Is reports whether target is ErrInvalid.
func (e *ReportError) Is(target error) bool { return target == ErrInvalid }
