package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// searchData is the content of the page of what was found.
type searchData struct {
	Query      string
	Suites     []dashboard.FoundItem
	Cases      []dashboard.FoundItem
	Executions []executionRow
	Nothing    bool
	Now        time.Time
	Zone       *time.Location
}

// Count says how many of a kind were found. There may be more than a page of them.
func (searchData) Count(n int) string {
	if n == pageSize {
		return fmt.Sprintf("the first %d", n)
	}
	return strconv.Itoa(n)
}

func (s *web) search(_ http.ResponseWriter, r *http.Request) (*view, error) {
	d := searchData{Query: strings.TrimSpace(r.URL.Query().Get("q")), Now: s.Now(), Zone: zoneOf(r)}
	if d.Query != "" {
		found, err := s.store.Search(r.Context(), d.Query, pageSize)
		if err != nil {
			return nil, err
		}
		d.Suites, d.Cases, d.Executions = found.Suites, found.Cases, executionRows(found.Executions, s.Now())
		d.Nothing = len(found.Suites)+len(found.Cases)+len(found.Executions) == 0
	}
	return &view{Name: "search", Title: "Search", Data: d}, nil
}
