package jsondoc

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

type part struct {
	Name string            `json:"name"`
	Note string            `json:"note,omitempty"`
	At   time.Time         `json:"at"`
	Sub  *part             `json:"sub"`
	List []int             `json:"list"`
	Map  map[string]string `json:"map"`
	Raw  json.RawMessage   `json:"raw,omitempty"`
	Any  any               `json:"any"`
	Skip string            `json:"-"`
}

// TestSameAsEncodingJSON holds that documents of valid text have the very bytes that
// encoding/json gives them, and are read alike: values in Redis are shared with
// programs of other versions.
func TestSameAsEncodingJSON(t *testing.T) {
	for _, v := range []any{
		nil, 1, -7.5, 1e21, "text", "<html> & \u2028", true, []byte("bytes"), []int(nil), []int{}, map[string]int(nil),
		map[string]int{"b": 1, "a": 2}, part{}, &part{Name: "n", Sub: &part{List: []int{1}}, Map: map[string]string{"k": "v"}, Raw: json.RawMessage(`{"x": 1}`)},
		time.Hour, time.Unix(1, 5).UTC(), (*part)(nil), struct{ A, a int }{1, 2},
	} {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Append([]byte("before "), v)
		if err != nil || string(got) != "before "+string(want) {
			t.Errorf("%#v: %s, %v; want %s", v, got, err, want)
		}
	}
	for _, v := range []any{make(chan int), func() {}, complex(1, 2)} {
		if _, err := Append(nil, v); err == nil {
			t.Errorf("%T was encoded", v)
		}
	}
}

// TestNothingPointsIntoTheInput holds that values outlive the bytes they were
// decoded from.
func TestNothingPointsIntoTheInput(t *testing.T) {
	data := []byte(`{"name":"checkout","map":{"key":"value"},"raw":{"x":1},"any":["text"]}`)
	var p part
	if err := Decode(data, &p); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if p.Name != "checkout" || p.Map["key"] != "value" || string(p.Raw) != `{"x":1}` || p.Any.([]any)[0] != "text" {
		t.Errorf("%+v", p)
	}
}

// TestHarmfulDocuments holds that they are errors, and cheap ones.
func TestHarmfulDocuments(t *testing.T) {
	for what, doc := range map[string]string{
		"nested": strings.Repeat("[", 1<<20), "nested and closed": strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000),
		"nothing": "", "trailing": "{} x", "half": `{"name":`, "control": "{\"name\":\"a\x01\"}", "of another type": `{"list":"x"}`,
	} {
		if err := Decode([]byte(doc), new(part)); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// FuzzDecode holds that both read the same, or both fail.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"n","NAME":"m","list":[1,2],"any":{"a":null},"at":"2026-01-02T03:04:05Z"}`))
	f.Add([]byte("{\"name\":\"\xff\\ud800\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want part
		gotErr, wantErr := Decode(data, &got), json.Unmarshal(data, &want)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, encoding/json: %v", data, gotErr, wantErr)
		}
		if gotErr == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %+v, encoding/json: %+v", data, got, want)
		}
	})
}
