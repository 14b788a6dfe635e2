package api

import (
	"fmt"
	"net/http"

	"github.com/larder-go/larder/dashboard/upload"
)

// ingest takes in a report: 201 for a new execution, 200 for one that was
// there before.
func (a *api) ingest(format string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		in, err := upload.Read(w, r, a.Formats, format)
		if err != nil {
			return err
		}
		report, _, err := a.store.Ingest(r.Context(), in)
		if err != nil {
			return err
		}
		if report.Warnings == nil {
			report.Warnings = []string{}
		}
		status := http.StatusOK
		if !report.Duplicate {
			status = http.StatusCreated
			a.Ingested(in.Report.Format, len(in.Report.Cases))
		}
		w.Header().Set("Location", fmt.Sprintf("/api/v1/executions/%d", report.Execution.ID))
		return reply(w, status, report)
	}
}
