package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/upload"
)

// explain turns an error of the domain into a problem. Errors it does not know
// stay what they are and become a 500.
func explain(err error) error {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*dashboard.NotFoundError](err); ok {
		return &problem{Type: kindNotFound, Title: "Not found", Status: http.StatusNotFound, Field: "id",
			Detail: fmt.Sprintf("There is no %s %d.", e.Kind, e.ID)}
	}
	if e, ok := errors.AsType[*dashboard.ConflictError](err); ok {
		return conflict(e)
	}
	if e, ok := errors.AsType[*dashboard.InvalidError](err); ok {
		return &problem{Type: kindInvalid, Title: "Invalid field", Status: http.StatusUnprocessableEntity,
			Field: e.Fields[0].Field, Fields: e.Fields, Detail: e.Error()}
	}
	if e, ok := errors.AsType[*dashboard.ReportError](err); ok {
		return badReport(e)
	}
	if errors.Is(err, upload.ErrMediaType) {
		return &problem{Type: kindMediaType, Title: "Unsupported media type", Status: http.StatusUnsupportedMediaType, Field: "Content-Type",
			Detail: err.Error() + "; send the report as it is, gzipped, or as the field \"file\" of multipart/form-data"}
	}
	if errors.Is(err, dashboard.ErrFull) {
		return &problem{Type: kindUnavailable, Title: "Database full", Status: http.StatusInsufficientStorage,
			Detail: "The database has no room left; nothing was changed.", cause: err}
	}
	if errors.Is(err, dashboard.ErrUnavailable) {
		return &problem{Type: kindUnavailable, Title: "Unavailable", Status: http.StatusServiceUnavailable,
			Detail: "The database cannot be reached; try again later.", cause: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &problem{Type: kindUnavailable, Title: "Unavailable", Status: http.StatusServiceUnavailable,
			Detail: "The database did not answer in time.", cause: err}
	}
	return err
}

func conflict(e *dashboard.ConflictError) *problem {
	p := &problem{Type: kindConflict, Title: "Conflict", Status: http.StatusConflict, Field: e.Field, State: string(e.State), Detail: e.Error()}
	if e.State != "" {
		p.Type, p.Title, p.Field = kindTransition, "Illegal transition", "status"
	}
	return p
}

func badReport(e *dashboard.ReportError) *problem {
	p := &problem{Type: kindReport, Title: "Invalid report", Status: http.StatusUnprocessableEntity, Field: "file", Line: e.Line, Detail: e.Error() + "; nothing was changed"}
	if e.TooLarge {
		p.Type, p.Title, p.Status = kindTooLarge, "Too large", http.StatusRequestEntityTooLarge
	}
	return p
}
