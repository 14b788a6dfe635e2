package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/larder-go/larder/dashboard"
)

// maxJSON is the largest JSON body in bytes. A batch of results may carry
// stacks and outputs and so be larger.
const (
	maxJSON  = 1 << 20
	maxBatch = 32 << 20
)

// id reads the {id} of the path.
func id(r *http.Request) (int64, error) {
	n, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || n <= 0 {
		return 0, invalid("id", "%q is not a positive whole number", r.PathValue("id"))
	}
	return n, nil
}

// decode reads a JSON object strictly: an unknown member is an error, so that a
// misspelt one is not taken for an absent one. An absent body is empty when
// optional.
func decode[T any](w http.ResponseWriter, r *http.Request, limit int64) (T, error) {
	var into T
	body, err := readJSON(w, r, limit)
	if err != nil {
		return into, err
	}
	return into, unmarshal(body, &into)
}

// decodeOptional is decode for operations that need no body.
func decodeOptional[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var into T
	if r.ContentLength == 0 || r.Body == http.NoBody {
		return into, nil
	}
	return decode[T](w, r, maxJSON)
}

func readJSON(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, mediaType(r.Header.Get("Content-Type"), "application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge("The body has more than %d bytes.", limit)
	}
	if err != nil {
		return nil, malformed("The body ended too early.")
	}
	return body, nil
}

func unmarshal(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		return malformed("There is more after the end of the JSON value, at byte %d.", d.InputOffset())
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalid(e.Field, "must be %s, not %s", jsonType(e.Type.Kind().String()), e.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		return invalid(name, "is not a field of this object")
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return malformed("The body is not JSON: %v, in line %d.", e, 1+bytes.Count(body[:min(int(e.Offset), len(body))], []byte("\n")))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("The body is not JSON: it ends too early.")
	}
	return malformed("The body cannot be read: %v.", err)
}

func jsonType(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "a whole number"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "struct", kind == "map":
		return "an object"
	case kind == "slice":
		return "an array"
	case kind == "bool":
		return "true or false"
	}
	return "a " + kind
}

// query reads parameters and keeps the first fault.
type query struct {
	values map[string][]string
	err    error
}

func params(r *http.Request) *query { return &query{values: r.URL.Query()} }

func (q *query) fail(field, format string, args ...any) {
	if q.err == nil {
		q.err = invalid(field, format, args...)
	}
}

// text returns the first of the named parameters that is present.
func (q *query) text(names ...string) string {
	for _, name := range names {
		if v := q.values[name]; len(v) > 0 && v[0] != "" {
			return v[0]
		}
	}
	return ""
}

func (q *query) whole(name string, fallback, low, high int64) int64 {
	v := q.text(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < low || n > high {
		q.fail(name, "must be a whole number from %d to %d, not %q", low, high, v)
		return fallback
	}
	return n
}

func (q *query) boolean(name string) *bool {
	v := q.text(name)
	if v == "" {
		return nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		q.fail(name, "must be true or false, not %q", v)
	}
	return &b
}

const maxSkip = 1 << 31

func (q *query) page() dashboard.Page {
	return dashboard.Page{
		Skip:   int(q.whole("skip", 0, 0, maxSkip)),
		Limit:  int(q.whole("limit", dashboard.DefaultLimit, 1, dashboard.MaxLimit)),
		Cursor: q.text("cursor"),
	}
}

// reply writes a value as JSON.
func reply(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode reply: %w", err)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-cache") // keep it, but ask whether it is still so
	}
	if t, ok := w.(*traced); ok && status == http.StatusOK {
		sum := sha256.Sum256(body)
		header.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
		if strings.Contains(t.known, header.Get("ETag")) {
			header.Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
	return nil
}

// replyList writes one page as an array, its position in the headers: the
// number of items in all, and where the next page is.
func replyList[T any](w http.ResponseWriter, r *http.Request, list dashboard.List[T]) error {
	w.Header().Set("X-Total-Count", strconv.FormatInt(list.Total, 10))
	if list.Next != "" {
		next := *r.URL
		values := next.Query()
		values.Del("skip")
		values.Set("cursor", list.Next)
		next.RawQuery = values.Encode()
		w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, next.RequestURI()))
	}
	if list.Items == nil {
		list.Items = []T{}
	}
	return reply(w, http.StatusOK, list.Items)
}

// adminList is a list without filters.
func adminList[T any](w http.ResponseWriter, r *http.Request, read func(context.Context, dashboard.Page) (dashboard.List[T], error)) error {
	q := params(r)
	page := q.page()
	if q.err != nil {
		return q.err
	}
	list, err := read(r.Context(), page)
	if err != nil {
		return err
	}
	return replyList(w, r, list)
}
