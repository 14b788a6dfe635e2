package larder

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/larder-go/larder/internal/frame"
)

// TestTextPinsNoTags: a text that memory keeps without a copy keeps all that was
// read with it, which its weight must cover: of tags nobody knows how long they
// are, so an entry that carries some is copied.
func TestTextPinsNoTags(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k, err := newKeyspace(c, "text", KeyspaceOptions[string, string]{TTL: time.Hour, Codec: Text})
	if err != nil {
		t.Fatal(err)
	}
	for name, pairs := range map[string][]frame.Pair{"untagged": nil, "tagged": {{Tag: strings.Repeat("t", 200)}}} {
		t.Run(name, func(t *testing.T) {
			e := frame.Entry{Codec: frame.Codec(Text.ID()), Hard: time.Now().UnixMilli(), Soft: time.Now().UnixMilli(), Pairs: pairs, Payload: "value"}
			raw, err := frame.Append(nil, &e)
			if err != nil {
				t.Fatal(err)
			}
			stored := string(raw)
			e = frame.Entry{}
			if err := frame.Parse(stored, &e); err != nil {
				t.Fatal(err)
			}
			value, size, fits := k.decode("text:k", &e)
			if value != "value" || fits != fitting {
				t.Fatalf("%q, %v", value, fits)
			}
			shared := unsafe.StringData(value) == unsafe.StringData(e.Payload)
			if shared == (pairs != nil) {
				t.Errorf("without a copy: %v", shared)
			}
			if shared && size < len(stored) {
				t.Errorf("%d bytes are kept and weigh %d", len(stored), size)
			}
		})
	}
}
