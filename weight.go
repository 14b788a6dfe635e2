package larder

import (
	"reflect"
	"unsafe"

	"github.com/larder-go/larder/internal/memory"
)

// weightOf returns the bytes an entry counts against the budget.
func weightOf(size, tags int) uint32 {
	total := size + int(unsafe.Sizeof(head{})) + memory.Overhead
	if tags > 1 {
		total += tags*8 + int(unsafe.Sizeof(bond{}))
	}
	return uint32(min(total, 1<<31))
}

// sizeOf estimates the bytes of a value that was never encoded, following
// pointers to a small depth. Shared parts count again each time.
func sizeOf[V any](v V) int {
	rv := reflect.ValueOf(&v).Elem()
	return int(rv.Type().Size()) + referenced(rv, 6)
}

// referenced estimates the bytes that v refers to.
func referenced(v reflect.Value, depth int) int {
	if depth == 0 {
		return 0
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Slice:
		return v.Cap()*int(v.Type().Elem().Size()) + elements(v, depth)
	case reflect.Array:
		return elements(v, depth)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return int(v.Elem().Type().Size()) + referenced(v.Elem(), depth-1)
	case reflect.Map:
		return mapped(v, depth)
	case reflect.Struct:
		total := 0
		for i := range v.NumField() {
			total += referenced(v.Field(i), depth-1)
		}
		return total
	}
	return 0
}

func elements(v reflect.Value, depth int) (total int) {
	switch v.Type().Elem().Kind() {
	case reflect.String, reflect.Slice, reflect.Array, reflect.Pointer, reflect.Interface, reflect.Map, reflect.Struct:
		for i := range v.Len() {
			total += referenced(v.Index(i), depth-1)
		}
	}
	return total
}

func mapped(v reflect.Value, depth int) (total int) {
	const bucket = 16 // what a map adds to a pair, about
	pair := int(v.Type().Key().Size()+v.Type().Elem().Size()) + bucket
	for it := v.MapRange(); it.Next(); {
		total += pair + referenced(it.Key(), depth-1) + referenced(it.Value(), depth-1)
	}
	return total
}
