package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/larder-go/larder/dashboard"
)

// problem is an answer of RFC 9457, "Problem Details for HTTP APIs". It is an
// error, so that handlers return it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Field names the part of the request that is at fault: a member of the
	// body, a parameter or a header.
	Field string `json:"field,omitempty"`
	// Fields lists every wrong field where there may be several.
	Fields []dashboard.FieldError `json:"errors,omitempty"`
	// State is the present state of an execution that refused a transition.
	State string `json:"state,omitempty"`
	// Line is where a report is wrong, counted from 1.
	Line int `json:"line,omitempty"`

	cause error // logged, never shown
}

func (p *problem) Error() string {
	if p.cause != nil {
		return p.Detail + ": " + p.cause.Error()
	}
	return p.Detail
}

func (p *problem) Unwrap() error { return p.cause }

// The kinds of problems. They are part of the API: callers branch on them.
const (
	kindInvalid     = "urn:qadash:invalid-field"
	kindMalformed   = "urn:qadash:malformed"
	kindReport      = "urn:qadash:invalid-report"
	kindNotFound    = "urn:qadash:not-found"
	kindMethod      = "urn:qadash:method-not-allowed"
	kindConflict    = "urn:qadash:conflict"
	kindTransition  = "urn:qadash:illegal-transition"
	kindTooLarge    = "urn:qadash:too-large"
	kindMediaType   = "urn:qadash:unsupported-media-type"
	kindUnavailable = "urn:qadash:unavailable"
	kindUnauthentic = "urn:qadash:unauthorized"
	kindForbidden   = "urn:qadash:forbidden"
	kindInternal    = "urn:qadash:internal"
)

func invalid(field, format string, args ...any) *problem {
	return &problem{Type: kindInvalid, Title: "Invalid field", Status: http.StatusUnprocessableEntity,
		Field: field, Detail: fmt.Sprintf("%s %s", field, fmt.Sprintf(format, args...))}
}

func malformed(format string, args ...any) *problem {
	return &problem{Type: kindMalformed, Title: "Malformed request", Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) *problem {
	return &problem{Type: kindTooLarge, Title: "Too large", Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf(format, args...)}
}

func mediaType(got string, accepted string) *problem {
	return &problem{Type: kindMediaType, Title: "Unsupported media type", Status: http.StatusUnsupportedMediaType,
		Field: "Content-Type", Detail: fmt.Sprintf("Content-Type %q is not accepted here; send %s", got, accepted)}
}

// problemOf returns the problem that an error is. One that is none of ours becomes
// a 500 that says nothing of its cause.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	return &problem{Type: kindInternal, Title: "Internal error", Status: http.StatusInternalServerError,
		Detail: "The server could not answer. Nothing was changed unless a change was reported before.", cause: err}
}

// write answers with the problem.
func (p *problem) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	header.Del("ETag")
	if p.Status == http.StatusServiceUnavailable {
		header.Set("Retry-After", strconv.Itoa(1))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
