package cachedstore

import (
	"strconv"
	"sync"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
)

// suitesKey is a page of suites: suites:list:skip:{n}:limit:{m}.
type suitesKey struct {
	active string
	page   dashboard.Page
}

func (k suitesKey) append(dst []byte) []byte {
	dst = append(dst, "list"...)
	dst = field(dst, "active", k.active)
	return page(dst, k.page)
}

// casesKey is a page of cases: cases:list:suite:{id}:skip:{n}:limit:{m}.
type casesKey struct {
	filter dashboard.CaseFilter // without Active, which is a pointer, and Query
	active string
	page   dashboard.Page
}

func (k casesKey) append(dst []byte) []byte {
	dst = append(dst, "list"...)
	dst = number(dst, "suite", k.filter.SuiteID)
	dst = field(dst, "type", string(k.filter.TestType))
	dst = field(dst, "priority", string(k.filter.Priority))
	dst = field(dst, "active", k.active)
	return page(dst, k.page)
}

// executionsKey is a page of executions: executions:list:suite:{id}:status:{s}:skip:{n}:limit:{m}.
type executionsKey struct {
	filter dashboard.ExecutionFilter
	page   dashboard.Page
}

func (k executionsKey) append(dst []byte) []byte {
	dst = append(dst, "list"...)
	dst = number(dst, "suite", k.filter.SuiteID)
	dst = field(dst, "status", string(k.filter.Status))
	dst = field(dst, "type", string(k.filter.ExecutionType))
	dst = field(dst, "branch", k.filter.Branch)
	dst = field(dst, "commit", k.filter.Commit)
	dst = field(dst, "environment", k.filter.Environment)
	return page(dst, k.page)
}

// historyKey is a number of outcomes of a case: history:{id}:limit:{n}.
type historyKey struct {
	id    int64
	limit int
}

func (k historyKey) append(dst []byte) []byte {
	return appendLimit(append(strconv.AppendInt(dst, k.id, 10), ':'), k.limit)
}

// compareKey is two executions: compare:{base}:{head}.
type compareKey struct{ base, head int64 }

func (k compareKey) append(dst []byte) []byte {
	return strconv.AppendInt(append(strconv.AppendInt(dst, k.base, 10), ':'), k.head, 10)
}

func appendLimit(dst []byte, limit int) []byte {
	return strconv.AppendInt(append(dst, "limit:"...), int64(limit), 10)
}

// field appends :name:value unless the value is empty.
func field(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return larder.AppendSegment(append(append(append(dst, ':'), name...), ':'), value)
}

func number(dst []byte, name string, value int64) []byte {
	if value == 0 {
		return dst
	}
	return strconv.AppendInt(append(append(append(dst, ':'), name...), ':'), value, 10)
}

func page(dst []byte, p dashboard.Page) []byte {
	if p.Cursor != "" {
		dst = field(dst, "after", p.Cursor)
	} else {
		dst = strconv.AppendInt(append(dst, ":skip:"...), int64(p.Skip), 10)
	}
	return strconv.AppendInt(append(dst, ":limit:"...), int64(p.Limit), 10)
}

// flag is the form of an optional boolean in a key.
func flag(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

func unflag(s string) *bool {
	if s == "" {
		return nil
	}
	return new(s == "true")
}

// zones remembers which names are those of time zones; there are some hundred. A
// zone that its name does not tell cannot be in a key.
type zones struct{ names sync.Map }

func (z *zones) known(name string) bool {
	if name == "" {
		return true
	}
	if _, ok := z.names.Load(name); ok {
		return true
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return false
	}
	z.names.Store(name, nil)
	return true
}
