package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/larder-go/larder/dashboard"
)

// one answers with the thing that {id} names.
func one[T any](w http.ResponseWriter, r *http.Request, read func(context.Context, int64) (T, error)) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	value, err := read(r.Context(), n)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, value)
}

// update applies the body to the thing that {id} names.
func update[T, P any](w http.ResponseWriter, r *http.Request, apply func(context.Context, int64, P) (T, dashboard.Change, error)) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	patch, err := decode[P](w, r, maxJSON)
	if err != nil {
		return err
	}
	value, _, err := apply(r.Context(), n, patch)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, value)
}

// remove deletes the thing that {id} names.
func remove(w http.ResponseWriter, r *http.Request, apply func(context.Context, int64) (dashboard.Change, error)) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	if _, err := apply(r.Context(), n); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// created answers 201 with the place of the new thing.
func created(w http.ResponseWriter, kind string, id int64, value any) error {
	w.Header().Set("Location", fmt.Sprintf("/api/v1/%s/%d", kind, id))
	return reply(w, http.StatusCreated, value)
}
