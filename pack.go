package larder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/larder-go/larder/internal/compress"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/seal"
)

// packing is how the payloads of a keyspace are stored: encoded, then
// compressed, then sealed.
type packing struct {
	codec     uint8
	schema    uint32 // of the value type
	hasSchema bool
	method    compress.Method // of payloads from least bytes on
	least     int             // negative: none is compressed
	ring      *seal.Ring      // nil: payloads are not sealed
	maxValue  int             // bytes of an encoded value
	dated     bool            // entries say when they were written
	plain     bool            // payloads alone, without a header; see Interop
}

// packingOf returns what the options of a keyspace and its cache say.
func packingOf[K comparable, V any](o KeyspaceOptions[K, V], cache Options) (p packing, err error) {
	p = packing{codec: o.Codec.ID(), least: cache.CompressMin, maxValue: cache.MaxValueBytes, plain: o.Interop}
	if p.codec > maxCodec {
		return p, fmt.Errorf("Codec: its ID %d is above %d", p.codec, maxCodec)
	}
	p.schema, p.hasSchema = o.schema()
	switch o.Compression {
	case CompressS2:
		p.method = compress.S2
	case CompressZstd:
		p.method = compress.Zstd
	default:
		p.least = -1
	}
	if o.Encryption != EncryptNever {
		p.ring = cache.Keys.engine()
	}
	switch {
	case o.Encryption == EncryptAlways && p.ring == nil:
		return p, errors.New("Encryption: EncryptAlways without Options.Keys")
	case o.Interop && p.ring != nil:
		return p, errors.New("Interop: stores values in the clear, but Options.Keys is set; say Encryption: EncryptNever")
	}
	p.dated = p.hasSchema || p.ring != nil || p.codec > uint8(codecText)
	return p, nil
}

// schema returns the fingerprint of entries, false if they have none.
func (o *KeyspaceOptions[K, V]) schema() (uint32, bool) {
	switch {
	case o.Schema > 0:
		return uint32(o.Schema), true
	case o.Schema < 0 || o.Interop:
		return 0, false
	}
	if c, ok := o.Codec.(interface{ Schema() uint32 }); ok {
		schema := c.Schema()
		return schema, schema != 0
	}
	return 0, false
}

// validateStored checks what says how values are stored.
func (o *KeyspaceOptions[K, V]) validateStored() (err error) {
	fault := func(wrong bool, text string) {
		if wrong {
			err = errors.Join(err, errors.New(text))
		}
	}
	fault(o.Compression > CompressNone, "Compression: none of CompressS2, CompressZstd, CompressNone")
	fault(o.Encryption > EncryptNever, "Encryption: none of EncryptIfKeyed, EncryptAlways, EncryptNever")
	fault(o.Schema > math.MaxUint32, "Schema: above 2^32-1")
	if !o.Interop {
		return err
	}
	return errors.Join(err, o.validateInterop())
}

// validateInterop refuses what plain values have no room for.
func (o *KeyspaceOptions[K, V]) validateInterop() error {
	return contradictions(
		contradiction{"Interop", "needs the JSON codec", o.Codec.ID() != uint8(codecJSON)},
		contradiction{"Interop", "plain values carry no tags", o.Tags != nil || o.DynamicTags},
		contradiction{"Interop", "plain values carry no prefixes", len(o.Prefixes) > 0},
		contradiction{"Interop", "MemoryOnly stores no values in Redis", o.Tiers == MemoryOnly},
		contradiction{"Interop", "plain values are not compressed", o.Compression != CompressS2 && o.Compression != CompressNone},
		contradiction{"Interop", "plain values carry no schema", o.Schema > 0},
		contradiction{"Interop", "plain values cannot say \"not found\", leave NegativeTTL out", o.NegativeTTL > 0},
		contradiction{"Interop", "plain values have one deadline, that of Redis, leave Grace out", o.Grace > 0},
		contradiction{"Interop", "plain values do not say how long they took to load, leave EarlyRefresh out", o.EarlyRefresh > 0},
	)
}

// scratch is room for the forms of one payload. It is used by one goroutine and
// given back when the last form is dead.
type scratch struct {
	encoded, packed, sealed []byte
	additional              []byte
}

// maxKept is the most room that a scratch keeps in each of its buffers.
const maxKept = 1 << 20

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func borrowScratch() *scratch { return scratches.Get().(*scratch) }

func (s *scratch) giveBack() {
	for _, b := range []*[]byte{&s.encoded, &s.packed, &s.sealed, &s.additional} {
		if cap(*b) > maxKept {
			*b = nil
		}
	}
	scratches.Put(s)
}

// pack turns the encoded value in room into e's payload, which is valid until
// room is given back, and completes e's header. Now is the server's clock.
func (p *packing) pack(e *frame.Entry, key string, now int64, room *scratch, counts *spaceStats) {
	payload := room.encoded
	e.Codec, e.Sealed = frame.Codec(p.codec), p.ring != nil
	if e.HasWritten = p.dated; e.HasWritten {
		e.Written = frame.Seconds(now)
	}
	if !e.Negative {
		e.HasSchema, e.Schema = p.hasSchema, p.schema
	}
	if p.least >= 0 && len(payload) >= max(p.least, 1) {
		room.packed = compress.Deflate(room.packed[:0], payload, p.method)
		if compress.Worthwhile(len(room.packed), len(payload)) {
			counts.compressionSaved.Add(uint64(len(payload) - len(room.packed)))
			payload, e.Compression = room.packed, uint8(p.method)
		}
	}
	if e.Sealed {
		room.additional = appendAdditional(room.additional[:0], e, key)
		room.sealed = p.ring.Seal(room.sealed[:0], payload, room.additional)
		payload = room.sealed
	}
	e.Payload = textOf(payload)
}

// fit says whether a stored value can be used by this keyspace.
type fit uint8

const (
	fitting fit = iota
	damaged     // nobody can use it
	unfit       // intact, but of another schema, codec, key or limit
)

// unpack returns the encoded value in e, valid until room is given back and as
// long as e, and counts why there is none.
func (p *packing) unpack(e *frame.Entry, key string, room *scratch, counts *spaceStats) ([]byte, fit) {
	switch {
	case e.Negative: // says the same whatever V is
	case uint8(e.Codec) != p.codec:
		counts.codecErrors.Add()
		return nil, unfit
	case e.HasSchema != p.hasSchema || e.Schema != p.schema:
		counts.otherSchema.Add()
		return nil, unfit
	}
	if e.Sealed != (p.ring != nil) {
		counts.sealErrors.Add()
		return nil, unfit
	}
	payload, err := openEntry(e, key, p.ring, p.maxValue, room)
	switch {
	case err == nil:
		return payload, fitting
	case errors.Is(err, seal.ErrUnknownKey):
		counts.sealErrors.Add()
		return nil, unfit
	case errors.Is(err, seal.ErrRefused):
		counts.sealErrors.Add()
	case errors.Is(err, compress.ErrUnknown):
		counts.codecErrors.Add()
		return nil, unfit
	case errors.Is(err, compress.ErrTooLarge):
		counts.tooLarge.Add()
		return nil, unfit
	default:
		counts.corrupt.Add()
	}
	return nil, damaged
}

// openEntry returns the encoded value in e: opened if it is sealed, inflated if
// it is compressed. Limit bounds its bytes.
func openEntry(e *frame.Entry, key string, ring *seal.Ring, limit int, room *scratch) (payload []byte, err error) {
	payload = bytesOf(e.Payload)
	if e.Sealed {
		if ring == nil {
			return nil, seal.ErrUnknownKey
		}
		room.additional = appendAdditional(room.additional[:0], e, key)
		if payload, err = ring.Open(room.sealed[:0], payload, room.additional); err != nil {
			return nil, err
		}
		room.sealed = payload
	}
	if e.Compression != 0 {
		if payload, err = compress.Inflate(room.packed[:0], payload, compress.Method(e.Compression), limit); err != nil {
			return nil, err
		}
		room.packed = payload
	}
	if len(payload) > limit {
		return nil, compress.ErrTooLarge
	}
	return payload, nil
}

// appendAdditional appends what a sealed payload is bound to: its key, which
// begins with the namespace, and all of the header that says how to read it and
// how long. What operations on the entry change (its id, generations and when
// it turns stale) is not part of that.
func appendAdditional(dst []byte, e *frame.Entry, key string) []byte {
	const format = 1
	negative, schema := byte(0), byte(0)
	if e.Negative {
		negative = 1
	}
	if e.HasSchema {
		schema = 1
	}
	dst = append(dst, "larder"...)
	dst = append(dst, format, byte(e.Codec), e.Compression, negative, schema)
	dst = binary.BigEndian.AppendUint32(dst, e.Schema)
	dst = binary.BigEndian.AppendUint64(dst, e.Version)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Hard))
	return append(dst, key...)
}

// OpenPayload returns the encoded value inside of what Redis holds under key:
// opened with keys, which may be nil, and inflated. Key is the one in Redis,
// namespace included. Bytes of another program are returned as they are. It is
// for tools; it fails with [ErrUnreadable] for leases, hold-offs and damaged
// values, for values that none of keys opens, and above 64 MiB.
func OpenPayload(key, stored string, keys *KeyRing) ([]byte, error) {
	if frame.KindOf(stored) == frame.Foreign {
		return []byte(stored), nil
	}
	var e frame.Entry
	if err := frame.Parse(stored, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	const limit = 64 << 20 // above every sensible MaxValueBytes
	payload, err := openEntry(&e, key, keys.engine(), limit, new(scratch))
	if errors.Is(err, seal.ErrUnknownKey) {
		id, _ := seal.KeyID(bytesOf(e.Payload))
		err = fmt.Errorf("%w %q", err, id)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if !e.Sealed && e.Compression == 0 {
		payload = []byte(e.Payload) // a copy: strings must not be changed
	}
	return payload, nil
}

// textOf returns b as a string without copying; b must not be changed while it
// is used.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
