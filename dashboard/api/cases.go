package api

import (
	"math"
	"net/http"

	"github.com/larder-go/larder/dashboard"
)

func (a *api) cases(w http.ResponseWriter, r *http.Request) error {
	q := params(r)
	filter := dashboard.CaseFilter{
		SuiteID: q.whole("suite_id", 0, 1, math.MaxInt64), TestType: dashboard.TestType(q.text("test_type")),
		Priority: dashboard.Priority(q.text("priority")), Active: q.boolean("is_active"), Query: q.text("q"),
	}
	page := q.page()
	if q.err != nil {
		return q.err
	}
	list, err := a.store.Cases(r.Context(), filter, page)
	if err != nil {
		return err
	}
	return replyList(w, r, list)
}

func (a *api) testCase(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.store.Case)
}

func (a *api) createCase(w http.ResponseWriter, r *http.Request) error {
	in, err := decode[dashboard.NewCase](w, r, maxJSON)
	if err != nil {
		return err
	}
	c, _, err := a.store.CreateCase(r.Context(), in)
	if err != nil {
		return err
	}
	return created(w, "cases", c.ID, c)
}

func (a *api) updateCase(w http.ResponseWriter, r *http.Request) error {
	return update(w, r, a.store.UpdateCase)
}

func (a *api) deleteCase(w http.ResponseWriter, r *http.Request) error {
	return remove(w, r, a.store.DeleteCase)
}
