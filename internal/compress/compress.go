// Package compress makes payloads smaller with the block format of S2 and with
// Zstandard, both by klauspost/compress, and makes them whole again within a
// limit that is checked against the size they announce before room for it is
// made.
package compress

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Method is how a payload was compressed, as its header says.
type Method uint8

// The methods. S2 is fast, Zstd makes smaller.
const (
	None Method = iota
	S2
	Zstd
)

// Errors of [Inflate].
var (
	// ErrCorrupt reports bytes that are not what their method writes.
	ErrCorrupt = errors.New("compress: corrupt payload")
	// ErrTooLarge reports a payload that announces more bytes than the limit,
	// or more than such a payload can hold.
	ErrTooLarge = errors.New("compress: inflated payload too large")
	// ErrUnknown reports a method of another version.
	ErrUnknown = errors.New("compress: unknown method")
)

// Worthwhile reports whether packed bytes are enough fewer than size to pay for
// inflating them: a tenth.
func Worthwhile(packed, size int) bool { return packed <= size-size/10 }

// Deflate appends the compressed form of src, which is not empty, to dst. It allocates only when
// dst must grow. It panics for a method that is none.
func Deflate(dst, src []byte, m Method) []byte {
	switch m {
	case S2:
		start := len(dst)
		dst = grow(dst, s2.MaxEncodedLen(len(src)))
		packed := s2.Encode(dst[start:cap(dst)], src)
		return dst[:start+len(packed)]
	case Zstd:
		return deflateZstd(dst, src)
	}
	panic(fmt.Sprintf("compress: method %d", m))
}

// Inflate appends what src was compressed from to dst. It fails with
// [ErrTooLarge] before it makes room if that is more than limit bytes, with
// [ErrCorrupt] or [ErrUnknown]. It allocates only when dst must grow.
func Inflate(dst, src []byte, m Method, limit int) ([]byte, error) {
	switch m {
	case S2:
		return inflateS2(dst, src, limit)
	case Zstd:
		return inflateZstd(dst, src, limit)
	}
	return nil, ErrUnknown
}

// maxRatioS2 is more than a block of S2 can grow: a copy of at most 2^24 bytes
// takes five.
const maxRatioS2 = 1 << 22

func inflateS2(dst, src []byte, limit int) ([]byte, error) {
	size, err := s2.DecodedLen(src)
	switch {
	case err != nil:
		return nil, ErrCorrupt
	case size > limit || size/maxRatioS2 > len(src):
		return nil, ErrTooLarge
	}
	start := len(dst)
	dst = grow(dst, size)
	out, err := s2.Decode(dst[start:start+size:start+size], src)
	if err != nil || len(out) != size {
		return nil, ErrCorrupt
	}
	return dst[:start+size], nil
}

// inflateZstd accepts a single frame that announces its size, which is what
// [Deflate] writes.
func inflateZstd(dst, src []byte, limit int) ([]byte, error) {
	var h zstd.Header
	switch err := h.Decode(src); {
	case err != nil || h.Skippable || !h.HasFCS || h.DictionaryID != 0:
		return nil, ErrCorrupt
	case h.FrameContentSize > uint64(limit):
		return nil, ErrTooLarge
	}
	start, size := len(dst), int(h.FrameContentSize)
	dst = grow(dst, size)
	// Room of exactly this size: the decoder is told not to exceed it.
	out, err := zstdReader.DecodeAll(src, dst[:start:start+size])
	if err != nil || len(out) != start+size {
		return nil, ErrCorrupt
	}
	return out, nil
}

func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, len(dst)+n), dst...)
}

// zstdWriter is an encoder with its output. The streaming interface is used
// because the other one shares encoders by a channel, which tests in virtual
// time would make in one bubble and use in the next.
type zstdWriter struct {
	engine *zstd.Encoder
	out    []byte
}

// Write appends what the engine has compressed.
func (w *zstdWriter) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

// zstdWriters hold 1.3 MB of tables each.
var zstdWriters = sync.Pool{New: func() any {
	engine, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(true), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return &zstdWriter{engine: engine}
}}

func deflateZstd(dst, src []byte) []byte {
	w := zstdWriters.Get().(*zstdWriter)
	w.out = dst
	w.engine.ResetContentSize(w, int64(len(src)))
	_, err := w.engine.Write(src)
	if err = errors.Join(err, w.engine.Close()); err != nil {
		panic(err) // Write above does not fail
	}
	dst, w.out = w.out, nil
	zstdWriters.Put(w)
	return dst
}

// zstdReader is made before any test's bubble, see zstdWriter. It makes its
// buffers when they are needed.
var zstdReader = func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}()
