// Package msgpack is a codec for MessagePack: smaller than JSON and read by
// programs in many languages. It is a module of its own, so that only those who
// use it depend on github.com/vmihailenco/msgpack, which does the work.
package msgpack

import (
	"bytes"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/larder-go/larder"
)

// ID is what stored values say of this codec.
const ID = 3

// Codec returns a codec for values of type V, to be used as
// [larder.KeyspaceOptions.Codec]. Fields go by their names, or by their msgpack
// tags; unexported ones are left out.
//
// Entries of another structure of V are counted misses, by [larder.SchemaOf].
// A type with MarshalJSON or MarshalText counts by its name there, whatever
// MessagePack makes of it: set KeyspaceOptions.Schema when its fields change.
//
// What is cut, followed by more, announces more than there is, or is nested
// deeper than 10,000 levels, is refused before it is decoded: a counted miss.
func Codec[V any]() larder.Codec[V] { return codec[V]{} }

type codec[V any] struct{}

func (codec[V]) ID() uint8      { return ID }
func (codec[V]) Schema() uint32 { return larder.SchemaOf[V]() }

func (codec[V]) Append(dst []byte, v V) ([]byte, error) {
	to := bytes.NewBuffer(dst)
	e := msgpack.GetEncoder()
	defer msgpack.PutEncoder(e)
	e.Reset(to)
	e.UseCompactInts(true)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("msgpack: encode: %w", err)
	}
	return to.Bytes(), nil
}

func (codec[V]) Decode(data []byte) (v V, err error) {
	if err := validate(data); err != nil {
		return v, fmt.Errorf("msgpack: decode: %w", err)
	}
	d := msgpack.GetDecoder()
	defer msgpack.PutDecoder(d)
	d.Reset(bytes.NewReader(data))
	if err = d.Decode(&v); err != nil {
		return v, fmt.Errorf("msgpack: decode: %w", err)
	}
	return v, nil
}
