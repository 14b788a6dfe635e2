package api

import (
	"net/http"

	"github.com/larder-go/larder/dashboard"
)

func (a *api) suites(w http.ResponseWriter, r *http.Request) error {
	q := params(r)
	filter, page := dashboard.SuiteFilter{Active: q.boolean("is_active"), Query: q.text("q")}, q.page()
	if q.err != nil {
		return q.err
	}
	list, err := a.store.Suites(r.Context(), filter, page)
	if err != nil {
		return err
	}
	return replyList(w, r, list)
}

func (a *api) suite(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.store.Suite)
}

func (a *api) createSuite(w http.ResponseWriter, r *http.Request) error {
	in, err := decode[dashboard.NewSuite](w, r, maxJSON)
	if err != nil {
		return err
	}
	suite, _, err := a.store.CreateSuite(r.Context(), in)
	if err != nil {
		return err
	}
	return created(w, "suites", suite.ID, suite)
}

// updateSuite serves PUT as PATCH: the original's PUT left absent fields alone.
func (a *api) updateSuite(w http.ResponseWriter, r *http.Request) error {
	return update(w, r, a.store.UpdateSuite)
}

func (a *api) deleteSuite(w http.ResponseWriter, r *http.Request) error {
	return remove(w, r, a.store.DeleteSuite)
}
