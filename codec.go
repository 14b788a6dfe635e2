package larder

import (
	"fmt"
	"unsafe"

	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/jsondoc"
)

// Codec turns values into bytes and back. Its methods are called concurrently.
//
// A codec whose encoding depends on the structure of V has a method
// Schema() uint32 as well: entries of another schema, by default [SchemaOf],
// are counted misses instead of being decoded.
type Codec[V any] interface {
	// Append appends the encoding of v to dst.
	Append(dst []byte, v V) ([]byte, error)
	// Decode returns the value that data encodes. It must neither change data
	// nor keep it: data is shared.
	Decode(data []byte) (V, error)
	// ID tells codecs apart in stored values, 0 to 7; 3 is that of the module
	// msgpack, 4 to 7 are free for codecs of other packages. A value of another codec is a counted miss.
	ID() uint8
}

// IDs of the codecs of this package.
const (
	codecJSON frame.Codec = iota
	codecBytes
	codecText
)

// maxCodec is the highest ID of a codec.
const maxCodec = 7

// JSON returns the default codec. It reads and writes what encoding/json does;
// documents stay readable with redis-cli.
func JSON[V any]() Codec[V] { return jsonCodec[V]{} }

type jsonCodec[V any] struct{}

func (jsonCodec[V]) ID() uint8      { return uint8(codecJSON) }
func (jsonCodec[V]) Schema() uint32 { return SchemaOf[V]() }

func (jsonCodec[V]) Append(dst []byte, v V) ([]byte, error) {
	dst, err := jsondoc.Append(dst, v)
	if err != nil {
		return nil, fmt.Errorf("larder: encode: %w", err)
	}
	return dst, nil
}

func (jsonCodec[V]) Decode(data []byte) (v V, err error) {
	if err = jsondoc.Decode(data, &v); err != nil {
		return v, fmt.Errorf("larder: decode: %w", err)
	}
	return v, nil
}

// Bytes is the codec of byte slices, stored as they are.
var Bytes Codec[[]byte] = bytesCodec{}

type bytesCodec struct{}

func (bytesCodec) ID() uint8                                   { return uint8(codecBytes) }
func (bytesCodec) Append(dst []byte, v []byte) ([]byte, error) { return append(dst, v...), nil }
func (bytesCodec) Decode(data []byte) ([]byte, error)          { return append([]byte{}, data...), nil }

// Text is the codec of strings, stored as they are.
var Text Codec[string] = textCodec{}

type textCodec struct{}

func (textCodec) ID() uint8                                   { return uint8(codecText) }
func (textCodec) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }
func (textCodec) Decode(data []byte) (string, error)          { return string(data), nil }

// sharer is a codec that can use a payload as it is, which nobody will change,
// without a copy.
type sharer[V any] interface{ share(payload string) V }

func (textCodec) share(payload string) string { return payload }

// bytesOf returns the bytes of s without copying. They must not be changed;
// [Codec.Decode] promises that.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
