package main

import (
	"fmt"
	"strings"
)

// storedTables are those of how values lie in Redis.
var storedTables = []tableSpec{
	{bench: "Stored", row: "form", only: "what=read-documents", title: "A hit, decoded", units: []string{"stored-B|bytes in Redis", "ns/op|ns", "cpu-ns/op|CPU ns"},
		note: "Lists of documents, of which a third is unlike in each, are read from Redis with the default codec, one after the other; the CPU is that of the reading process."},
	{bench: "Stored", row: "form", only: "what=read-bytes", title: "A hit, as bytes", units: []string{"ns/op|ns", "cpu-ns/op|CPU ns", "allocs/op|allocations"},
		note: "The same documents as bytes: what compression and encryption cost without a codec beside them."},
	{bench: "Stored", row: "form", only: "what=set-bytes", title: "Storing, as bytes", units: []string{"ns/op|ns", "cpu-ns/op|CPU ns"}},
}

// storedTargets are promises about S2, the default, beside values stored as they
// are.
var storedTargets = []target{
	{"S2 / plain, decoded hit, CPU, 1 KiB", stored("cpu-ns/op", "1KiB"), 1.05, false},
	{"S2 / plain, decoded hit, CPU, 10 KiB", stored("cpu-ns/op", "10KiB"), 1.05, false},
	{"S2 / plain, decoded hit, CPU, 100 KiB", stored("cpu-ns/op", "100KiB"), 1.05, false},
	{"S2 / plain, decoded hit, latency, 10 KiB", stored("ns/op", "10KiB"), 1.05, false},
	{"S2, allocations more than plain, hit as bytes, 10 KiB", func(m *measurements) float64 {
		return plain("allocs/op", "Stored/what=read-bytes/form=s2/size=10KiB-2")(m) - plain("allocs/op", "Stored/what=read-bytes/form=plain/size=10KiB-2")(m)
	}, 0, false},
}

func stored(unit, size string) func(*measurements) float64 {
	name := func(form string) string {
		return fmt.Sprintf("Stored/what=read-documents/form=%s/size=%s-2", form, size)
	}
	return over(unit, name("s2"), name("plain"))
}

// renderStored writes the tables of RAW between the markers of a document.
func renderStored(raw, path string) error {
	m, err := readFile(raw)
	if err != nil {
		return err
	}
	var page strings.Builder
	page.WriteString(m.run() + "\n" + m.targets(storedTargets))
	for _, t := range storedTables {
		page.WriteString(m.table(t))
	}
	return replaceIn(path, "stored", page.String())
}
