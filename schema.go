package larder

import (
	"encoding"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"reflect"
	"slices"
	"strings"
)

// SchemaOf returns the fingerprint of V's structure: the names, types and json
// and msgpack tags of all exported fields, through pointers, slices, maps and
// nested structs. The order of fields, but where msgpack stores them as an array,
// names of types and unexported fields do not matter; a type that encodes itself counts by its name. Types without a
// struct have none, 0: whether a document is a number or a text, the codec
// tells. It walks the type on every call.
func SchemaOf[V any]() uint32 {
	w := walker{seen: map[reflect.Type]int{}}
	hash := fnv.New32a()
	_, _ = io.WriteString(hash, w.describe(reflect.TypeFor[V]()))
	switch {
	case !w.structs:
		return 0
	case hash.Sum32() == 0:
		return 1
	}
	return hash.Sum32()
}

// walker describes types as text.
type walker struct {
	seen    map[reflect.Type]int // structs by the order they were met in
	structs bool
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

func (w *walker) describe(t reflect.Type) string {
	if t.Name() != "" && t.Kind() != reflect.Interface && encodesItself(t) {
		return t.PkgPath() + "." + t.Name()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + w.describe(t.Elem())
	case reflect.Slice:
		return "[]" + w.describe(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), w.describe(t.Elem()))
	case reflect.Map:
		return "map[" + w.describe(t.Key()) + "]" + w.describe(t.Elem())
	case reflect.Struct:
		return w.fields(t)
	}
	return t.Kind().String()
}

func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonMarshaler) || p.Implements(textMarshaler)
}

// fields describes a struct, one that contains itself by a number.
func (w *walker) fields(t reflect.Type) string {
	w.structs = true
	if n, met := w.seen[t]; met {
		return fmt.Sprintf("#%d", n)
	}
	w.seen[t] = len(w.seen)
	fields := make([]reflect.StructField, 0, t.NumField())
	array := false
	for f := range t.Fields() {
		if f.IsExported() || f.Anonymous {
			fields = append(fields, f)
		}
		array = array || f.Name == "_msgpack" && strings.Contains(f.Tag.Get("msgpack"), "as_array")
	}
	var b strings.Builder
	if array {
		b.WriteString("array")
	} else {
		slices.SortFunc(fields, func(a, b reflect.StructField) int { return strings.Compare(a.Name, b.Name) })
	}
	b.WriteString("{")
	for _, f := range fields {
		fmt.Fprintf(&b, "%q %v %q %q %s;", f.Name, f.Anonymous, f.Tag.Get("json"), f.Tag.Get("msgpack"), w.describe(f.Type))
	}
	return b.String() + "}"
}
