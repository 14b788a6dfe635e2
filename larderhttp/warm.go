package larderhttp

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

const (
	// WarmNames is how many names one request to a [WarmHandler] may hold.
	WarmNames = 1000
	// warmBytes bounds its body: names are at most 512 bytes long.
	warmBytes = WarmNames * 1024
)

// Warmed is the answer of a [WarmHandler].
type Warmed struct {
	Warmed int               `json:"warmed"`
	Failed map[string]string `json:"failed"` // names, and why
}

// WarmHandler lets a tool that has no loaders, such as "larder warm", have this
// program load entries. It takes POST requests with one name of an entry a line,
// at most [WarmNames], calls warm for one after the other and answers with
// [Warmed] as JSON; warm usually parses the key out of the name and calls
// Keyspace.Get. It checks no rights: put it behind what guards your
// administration.
func WarmHandler(warm func(ctx context.Context, name string) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "warm entries by POST", http.StatusMethodNotAllowed)
			return
		}
		names, err := readNames(http.MaxBytesReader(w, r.Body, warmBytes))
		switch {
		case err != nil:
			http.Error(w, "the body cannot be read, or is too large", http.StatusRequestEntityTooLarge)
			return
		case len(names) > WarmNames:
			http.Error(w, "too many names", http.StatusRequestEntityTooLarge)
			return
		}
		answer := Warmed{Failed: map[string]string{}}
		for _, name := range names {
			if err := warm(r.Context(), name); err != nil {
				answer.Failed[name] = err.Error()
				continue
			}
			answer.Warmed++
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // the client is gone
	})
}

func readNames(body io.Reader) (names []string, err error) {
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		if name := strings.TrimSpace(lines.Text()); name != "" {
			names = append(names, name)
		}
	}
	return names, lines.Err()
}
