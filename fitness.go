package larder

import (
	"errors"
	"fmt"

	"github.com/larder-go/larder/internal/compress"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/seal"
)

// judge says, for people, whether this process can use e, stored under key,
// and why not. It agrees with unpack and counts nothing.
func (p *packing) judge(e *frame.Entry, key string) (f fit, why string) {
	switch {
	case e.Negative:
	case uint8(e.Codec) != p.codec:
		return unfit, fmt.Sprintf("other codec: it was encoded by codec %d, this process reads codec %d", e.Codec, p.codec)
	case e.HasSchema != p.hasSchema || e.Schema != p.schema:
		return unfit, fmt.Sprintf("other schema: it has %s, this process has %s", schemaText(e.HasSchema, e.Schema), schemaText(p.hasSchema, p.schema))
	}
	if !e.Sealed && p.ring != nil {
		return unfit, "not sealed, and this process takes sealed values only"
	}
	_, err := openEntry(e, key, p.ring, p.maxValue, new(scratch))
	switch {
	case err == nil:
		return fitting, ""
	case errors.Is(err, seal.ErrUnknownKey):
		id, _ := seal.KeyID(bytesOf(e.Payload))
		return unfit, fmt.Sprintf("sealed under the key %q, which this process lacks", id)
	case errors.Is(err, seal.ErrRefused):
		return damaged, "its seal does not open: it was changed, or stored under another key"
	case errors.Is(err, compress.ErrUnknown):
		return unfit, fmt.Sprintf("compressed by the method %d, which this process does not know", e.Compression)
	case errors.Is(err, compress.ErrTooLarge):
		return unfit, fmt.Sprintf("larger than the %d bytes of MaxValueBytes", p.maxValue)
	}
	return damaged, "its payload does not hold what it announces"
}

func schemaText(has bool, schema uint32) string {
	if !has {
		return "none"
	}
	return fmt.Sprintf("%08x", schema)
}
