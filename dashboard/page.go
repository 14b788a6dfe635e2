package dashboard

import "strconv"

// Limits of lists.
const (
	// DefaultLimit is the number of items when a page asks for none.
	DefaultLimit = 100
	// MaxLimit is the largest number of items of a page.
	MaxLimit = 500
)

// Page says which part of a list to return.
type Page struct {
	// Skip leaves out that many items; ignored with a Cursor.
	Skip int `json:"skip"`
	// Limit is the number of items, 1 to MaxLimit; 0 means DefaultLimit.
	Limit int `json:"limit"`
	// Cursor continues after the list that returned it as Next. Items that were
	// added or removed meanwhile neither repeat nor hide others.
	Cursor string `json:"cursor,omitempty"`
}

// Normal returns the page with its default limit, or an [InvalidError].
func (p Page) Normal() (Page, error) {
	var c checker
	if p.Limit == 0 {
		p.Limit = DefaultLimit
	}
	c.check(p.Limit >= 1 && p.Limit <= MaxLimit, "limit", "must be between 1 and "+strconv.Itoa(MaxLimit))
	c.check(p.Skip >= 0, "skip", "must not be negative")
	c.check(len(p.Cursor) <= 128, "cursor", "is not a cursor of this list")
	if p.Cursor != "" {
		p.Skip = 0
	}
	return p, c.err()
}

// List is one page of items.
type List[T any] struct {
	Items []T `json:"items"`
	// Total counts the items of all pages.
	Total int64 `json:"total"`
	// Next is the cursor of the following page; empty on the last.
	Next string `json:"next,omitempty"`
}
