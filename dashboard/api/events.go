package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// Times of a stream.
const (
	liveTick     = 500 * time.Millisecond // how often an execution is looked at
	keepAlive    = 15 * time.Second       // how often a silent stream says so
	writeTime    = 10 * time.Second       // how long a client may take to read
	reconnectIn  = 2 * time.Second        // what clients are told to wait
	progressName = "progress"
)

// events streams the progress of an execution as server-sent events: "result"
// for each failure, then "progress" with the counts. The id of a progress event
// names the state it brought; a client that comes back with it receives what
// happened since. The stream ends with the execution; coming back then is
// answered with 204, at which browsers stop asking.
func (a *api) events(w http.ResponseWriter, r *http.Request) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	topic, leave, err := a.watchers.follow(r.Context(), n)
	if err != nil {
		return err
	}
	defer leave()
	current, changed := topic.now()
	known := r.Header.Get("Last-Event-ID")
	if current.execution.Status.Finished() && known == current.version() {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	s, end := a.openStream(w)
	defer end()
	if known == current.version() {
		s.skip(current)
	} else if !s.send(current) {
		return nil
	}
	for !current.execution.Status.Finished() && current.err == nil {
		if _, _, over := next(s, r, a.Ending, changed); over {
			return nil
		}
		if current, changed = topic.now(); !s.send(current) {
			return nil
		}
	}
	return nil
}

// stream writes to one client. A client that does not read in time is let go.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	alive   *time.Ticker
	seen    map[int64]bool // results that were sent
}

// openStream begins a stream, which counts as one until end is called.
func (a *api) openStream(w http.ResponseWriter) (s *stream, end func()) {
	a.Streams(1)
	s = &stream{w: w, control: http.NewResponseController(w), alive: time.NewTicker(keepAlive), seen: map[int64]bool{}}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	s.write(fmt.Sprintf("retry: %d\n\n", reconnectIn.Milliseconds()))
	return s, func() {
		s.alive.Stop()
		a.Streams(-1)
	}
}

// next waits for news and keeps the stream alive meanwhile. open is that of the
// channel; over says that the client has left, or must come back elsewhere
// because the server ends.
func next[T any](s *stream, r *http.Request, ending <-chan struct{}, news <-chan T) (item T, open, over bool) {
	for {
		select {
		case <-r.Context().Done():
			return item, false, true
		case <-ending:
			s.write("event: reconnect\ndata: {}\n\n")
			return item, false, true
		case <-s.alive.C:
			if !s.write(": still here\n\n") {
				return item, false, true
			}
		case item, open = <-news:
			return item, open, false
		}
	}
}

func (s *stream) write(text string) bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return false
	}
	return s.control.Flush() == nil
}

// skip takes a snapshot as sent.
func (s *stream) skip(now snapshot) {
	for _, r := range now.failures {
		s.seen[r.ID] = true
	}
}

// resultEvent is what a stream tells of a result; the rest is at …/results.
type resultEvent struct {
	ID          int64            `json:"id"`
	CaseID      int64            `json:"case_id"`
	CaseName    string           `json:"case_name"`
	Status      dashboard.Status `json:"status"`
	DurationMS  int64            `json:"duration"`
	Message     string           `json:"message"`
	FailingRuns int              `json:"failing_runs"`
}

func (s *stream) send(now snapshot) bool {
	if now.err != nil {
		return s.event("unavailable", "", struct{}{})
	}
	for _, r := range now.failures {
		if s.seen[r.ID] {
			continue
		}
		s.seen[r.ID] = true
		if !s.event("result", "", resultEvent{r.ID, r.CaseID, r.CaseName, r.Status, r.DurationMS, r.Message, r.FailingRuns}) {
			return false
		}
	}
	return s.event(progressName, now.version(), now.execution)
}

func (s *stream) event(name, id string, data any) bool {
	body, err := json.Marshal(data)
	if err != nil {
		return false
	}
	text := "event: " + name + "\n"
	if id != "" {
		text += "id: " + id + "\n"
	}
	return s.write(text + "data: " + string(body) + "\n\n")
}
