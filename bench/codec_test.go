package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bytedance/sonic"
	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
	goccy "github.com/goccy/go-json"
	segmentio "github.com/segmentio/encoding/json"
)

// jsonCodec is a library that could be the default codec.
type jsonCodec struct {
	name      string
	marshal   func(any) ([]byte, error)
	unmarshal func([]byte, any) error
}

var sonicStd = sonic.ConfigStd

var jsonCodecs = []jsonCodec{
	{"encoding-json", json.Marshal, json.Unmarshal},
	{"go-json-experiment-v1", jsonv1.Marshal, jsonv1.Unmarshal},
	{"go-json-experiment-v2", func(v any) ([]byte, error) { return jsonv2.Marshal(v) }, func(b []byte, v any) error { return jsonv2.Unmarshal(b, v) }},
	{"goccy", goccy.Marshal, goccy.Unmarshal},
	{"segmentio", segmentio.Marshal, segmentio.Unmarshal},
	{"sonic", sonicStd.Marshal, sonicStd.Unmarshal},
}

// BenchmarkJSON encodes and decodes the document of 580 bytes with what could
// be the default codec.
func BenchmarkJSON(b *testing.B) {
	doc := newDoc(1)
	data, err := json.Marshal(doc)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range jsonCodecs {
		b.Run("way=decode/codec="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var d Doc
				if err := c.unmarshal(data, &d); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("way=encode/codec="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.marshal(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// nestedVariable makes the test binary decode a nested document with the codec
// it names, in a process of its own: one that overflows its stack dies.
const nestedVariable = "LARDER_BENCH_NESTED"

func decodeNested(name string) {
	deep := []byte(strings.Repeat(`{"a":`, 1<<20/5) + "1" + strings.Repeat("}", 1<<20/5))
	for _, c := range jsonCodecs {
		if c.name == name {
			var v any
			_, _ = fmt.Println("error:", c.unmarshal(deep, &v) != nil)
		}
	}
}

// BenchmarkJSONSafety tells, for what could be the default codec, what a
// document made to do harm does: the table is that of docs/decisions/0020. It
// fails when the codec that was chosen is not safe.
func BenchmarkJSONSafety(b *testing.B) {
	if name := os.Getenv(nestedVariable); name != "" {
		decodeNested(name)
		return
	}
	for _, c := range jsonCodecs {
		b.Run("codec="+c.name, func(b *testing.B) {
			faults := faultsOf(c)
			b.ReportMetric(float64(len(faults)), "faults")
			b.Logf("%s: %s", c.name, strings.Join(faults, "; "))
			if c.name == chosenJSON && len(faults) > 0 {
				b.Errorf("the codec that was chosen is not safe: %v", faults)
			}
		})
	}
}

// faultsOf says what is wrong with a codec.
func faultsOf(c jsonCodec) (faults []string) {
	check := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, fault)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^$", "-test.bench", "^BenchmarkJSONSafety$", "-test.benchtime", "1x")
	cmd.Env = append(os.Environ(), nestedVariable+"="+c.name)
	out, err := cmd.Output()
	check(err == nil, "200,000 nested objects end the process or take it longer than 10 s")
	check(err != nil || strings.Contains(string(out), "error: true"), "200,000 nested objects are accepted")

	shared := []byte(`{"name":"checkout"}`)
	var d Doc
	check(c.unmarshal(shared, &d) == nil && d.Name == "checkout", "a plain document is refused")
	copy(shared, strings.Repeat("x", len(shared)))
	check(d.Name == "checkout", "decoded texts are parts of the input, which is shared")

	for what, bad := range map[string]string{"trailing bytes": `{} x`, "a control character": "{\"name\":\"a\x01\"}", "a leading zero": `{"id":01}`, "a lone comma": `{"id":1,}`} {
		check(c.unmarshal([]byte(bad), new(Doc)) != nil, what+" accepted")
	}
	var text struct{ A string }
	check(c.unmarshal([]byte("{\"A\":\"\xff\"}"), &text) != nil || text.A == "\uFFFD", "invalid UTF-8 passes through")
	return faults
}

// chosenJSON is the default codec of Larder.
const chosenJSON = "go-json-experiment-v1"
