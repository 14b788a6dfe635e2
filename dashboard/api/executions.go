package api

import (
	"bytes"
	"context"
	"math"
	"net/http"

	"github.com/larder-go/larder/dashboard"
)

func (a *api) executions(w http.ResponseWriter, r *http.Request) error {
	q := params(r)
	filter := dashboard.ExecutionFilter{
		SuiteID: q.whole("suite_id", 0, 1, math.MaxInt64), Status: dashboard.Status(q.text("status", "status_filter")),
		ExecutionType: dashboard.ExecutionType(q.text("execution_type")), Branch: q.text("branch"), Commit: q.text("commit"),
		Environment: q.text("environment"),
	}
	page := q.page()
	if q.err != nil {
		return q.err
	}
	list, err := a.store.Executions(r.Context(), filter, page)
	if err != nil {
		return err
	}
	return replyList(w, r, list)
}

func (a *api) execution(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.store.Execution)
}

func (a *api) createExecution(w http.ResponseWriter, r *http.Request) error {
	in, err := decode[dashboard.NewExecution](w, r, maxJSON)
	if err != nil {
		return err
	}
	e, _, err := a.store.CreateExecution(r.Context(), in)
	if err != nil {
		return err
	}
	return created(w, "executions", e.ID, e)
}

func (a *api) startExecution(w http.ResponseWriter, r *http.Request) error {
	return transition(w, r, a.store.StartExecution)
}

func (a *api) stopExecution(w http.ResponseWriter, r *http.Request) error {
	return transition(w, r, a.store.StopExecution)
}

// transition moves an execution on. A body, if there is one, must be an empty
// object.
func transition(w http.ResponseWriter, r *http.Request, move func(context.Context, int64) (dashboard.Execution, dashboard.Change, error)) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	if _, err := decodeOptional[struct{}](w, r); err != nil {
		return err
	}
	e, _, err := move(r.Context(), n)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, e)
}

func (a *api) finishExecution(w http.ResponseWriter, r *http.Request) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	finish, err := decodeOptional[dashboard.Finish](w, r)
	if err != nil {
		return err
	}
	e, _, err := a.store.FinishExecution(r.Context(), n, finish)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, e)
}

func (a *api) results(w http.ResponseWriter, r *http.Request) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	q := params(r)
	flaky := q.boolean("flaky")
	filter := dashboard.ResultFilter{Status: dashboard.Status(q.text("status", "status_filter")), Flaky: flaky != nil && *flaky, Query: q.text("q", "search")}
	page := q.page()
	if q.err != nil {
		return q.err
	}
	list, err := a.store.Results(r.Context(), n, filter, page)
	if err != nil {
		return err
	}
	return replyList(w, r, list)
}

// batch is the body of POST …/results; a bare array is accepted too.
type batch struct {
	Results []dashboard.NewResult `json:"results"`
}

func (a *api) addResults(w http.ResponseWriter, r *http.Request) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	body, err := readJSON(w, r, maxBatch)
	if err != nil {
		return err
	}
	var in batch
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		err = unmarshal(body, &in.Results)
	} else {
		err = unmarshal(body, &in)
	}
	if err != nil {
		return err
	}
	e, _, err := a.store.AddResults(r.Context(), n, in.Results)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, e)
}
