// Package frame is the byte form of what Larder keeps in Redis.
//
// Everything that decides about an entry lives in one string, so a plain DEL
// from anywhere is a correct invalidation. The first byte tells the kind; the
// bytes used for it never begin UTF-8 text and therefore no JSON document:
//
//	0xF5   plain value of codec 0, 0xF6 of codec 1, 0xF7 of 2, 0xF8 of 3:
//	       id[6] hard[5] namespace[8] payload
//	0xF9   lease: token[8]
//	0xFA   value: flags[1] (extension[1])? id[6] hard[5] namespace[8]
//	       (grace uvarint)? (load uvarint)? (version[8])? (schema[4])?
//	       (written[2])? (tags)? payload
//	0xFB   hold-off: any number of (token[8] deadline[6])
//	tags   uvarint count, then count × (uvarint length, name, generation[8])
//
// hard is the hard deadline in milliseconds of the server's clock since
// 2024-01-01 UTC, big endian; grace is how many milliseconds earlier the value
// turns stale, load how many its load took; namespace is the generation of the
// entry's namespace. written is when it was stored, in seconds of the same clock,
// modulo 2^16. deadline is Unix milliseconds of the server's clock, big endian.
//
// A value has one byte form only: what can be plain is. The header of a plain
// value has 20 bytes, that of one with a fingerprint of its type 28.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind says what a string in Redis is.
type Kind uint8

// The kinds of strings found under an entry's key.
const (
	Foreign Kind = iota // written by a program that does not know Larder
	Lease               // somebody holds the right to fill
	Value               // an entry
	Hold                // fills are refused for a while
)

const (
	plainByte byte = 0xF5 // of codec 0; those of codecs 1 to 3 follow
	leaseByte byte = 0xF9
	valueByte byte = 0xFA
	holdByte  byte = 0xFB
)

// plainCodecs is how many codecs a plain value may have.
const plainCodecs = leaseByte - plainByte

// Token names one lease, or one holder of a hold-off. It is random and never
// used twice.
type Token [8]byte

// ID returns the id of the one write that t is made for.
func (t Token) ID() ID { return ID(t[:len(ID{})]) }

// ID names one write of a value. It is random; see [Prefix] for what its 48 bits
// are worth.
type ID [6]byte

// Generation is the random state of a tag. Deleting and recreating a tag's key
// gives it another one, which outdates every entry that carries the old.
type Generation [8]byte

// Codec names how a payload was encoded.
type Codec uint8

// Flags of a value. The low three bits hold the codec.
const (
	codecMask     = 0x07
	flagNegative  = 0x08 // the source has no such entry; no payload
	flagSoft      = 0x10
	flagVersion   = 0x20
	flagTags      = 0x40
	flagExtension = 0x80 // one more flag byte follows
)

// Flags of the extension byte. 0x01 is set in all values of the form before this
// one, whose ids had 8 bytes: here they are corrupt.
const (
	extSchema      = 0x02
	extCompression = 0x0C // two bits: none, s2, zstd
	extSealed      = 0x10
	extLoad        = 0x20
	extWritten     = 0x40
	extKnown       = extSchema | extCompression | extSealed | extLoad | extWritten
)

// epoch2024 is 2024-01-01T00:00:00Z in Unix milliseconds.
const epoch2024 = 1_704_067_200_000

const maxHard = 1<<40 - 1

// MaxTags is the largest number of tags a value may carry.
const MaxTags = 255

// Pair is a tag and the generation it had before the load began.
type Pair struct {
	Tag        string
	Generation Generation
}

// Entry is a decoded value. Payload and the tag names of Pairs point into the
// parsed string.
type Entry struct {
	ID          ID
	Codec       Codec
	Negative    bool
	Compression uint8 // 0 none, 1 s2, 2 zstd
	Sealed      bool  // the payload is encrypted
	HasSchema   bool
	HasWritten  bool
	Namespace   Generation
	Schema      uint32
	Written     uint16 // see [Seconds]
	Version     uint64 // 0: none
	Hard        int64  // Unix milliseconds of the server's clock
	Soft        int64  // same; equal to Hard when there is no grace
	LoadMillis  uint64 // how long the load took; 0: not said
	Pairs       []Pair
	Payload     string
}

// ErrCorrupt reports bytes that begin like Larder's and then do not hold what
// they announce. A reader counts it and treats the entry as a miss.
var ErrCorrupt = errors.New("frame: corrupt entry")

// KindOf tells the kind of a string that is present under an entry's key.
func KindOf(s string) Kind {
	if s == "" {
		return Foreign
	}
	switch s[0] {
	case leaseByte:
		return Lease
	case valueByte, plainByte, plainByte + 1, plainByte + 2, plainByte + 3:
		return Value
	case holdByte:
		return Hold
	}
	return Foreign
}

// AppendLease appends the bytes of a lease.
func AppendLease(dst []byte, t Token) []byte {
	return append(append(dst, leaseByte), t[:]...)
}

// Append appends the bytes of a value. It fails on more than [MaxTags] tags, a
// deadline before 2024 or after 2058, a soft deadline after the hard one or more
// than 34 years before it (an unset one, say), and a codec above 7.
func Append(dst []byte, e *Entry) ([]byte, error) {
	hard := e.Hard - epoch2024
	switch {
	case hard < 0 || hard > maxHard:
		return nil, fmt.Errorf("frame: hard deadline %d ms is outside 2024 to 2058", e.Hard)
	case e.Soft > e.Hard:
		return nil, fmt.Errorf("frame: soft deadline %d ms is after the hard one %d ms", e.Soft, e.Hard)
	case e.Soft < e.Hard-maxHard:
		return nil, fmt.Errorf("frame: soft deadline %d ms is more than %d ms before the hard one", e.Soft, int64(maxHard))
	case len(e.Pairs) > MaxTags:
		return nil, fmt.Errorf("frame: %d tags, the limit is %d", len(e.Pairs), MaxTags)
	case e.Codec > codecMask || e.Compression > 3:
		return nil, fmt.Errorf("frame: codec %d or compression %d is out of range", e.Codec, e.Compression)
	}
	flags, ext := e.flags()
	if flags < plainCodecs {
		dst = append(dst, plainByte+flags)
	} else {
		dst = append(dst, valueByte, flags)
	}
	if ext != 0 {
		dst = append(dst, ext)
	}
	dst = append(dst, e.ID[:]...)
	dst = append(dst, byte(hard>>32), byte(hard>>24), byte(hard>>16), byte(hard>>8), byte(hard))
	dst = append(dst, e.Namespace[:]...)
	if flags&flagSoft != 0 {
		dst = binary.AppendUvarint(dst, uint64(e.Hard-e.Soft))
	}
	if e.LoadMillis != 0 {
		dst = binary.AppendUvarint(dst, e.LoadMillis)
	}
	if flags&flagVersion != 0 {
		dst = binary.BigEndian.AppendUint64(dst, e.Version)
	}
	if e.HasSchema {
		dst = binary.BigEndian.AppendUint32(dst, e.Schema)
	}
	if e.HasWritten {
		dst = binary.BigEndian.AppendUint16(dst, e.Written)
	}
	if flags&flagTags != 0 {
		dst = appendPairs(dst, e.Pairs)
	}
	return append(dst, e.Payload...), nil
}

func (e *Entry) flags() (flags, ext byte) {
	flags = byte(e.Codec)
	if e.Negative {
		flags |= flagNegative
	}
	if e.Soft != e.Hard {
		flags |= flagSoft
	}
	if e.Version != 0 {
		flags |= flagVersion
	}
	if len(e.Pairs) > 0 {
		flags |= flagTags
	}
	if e.HasSchema {
		ext |= extSchema
	}
	if e.LoadMillis != 0 {
		ext |= extLoad
	}
	if e.HasWritten {
		ext |= extWritten
	}
	ext |= e.Compression << 2
	if e.Sealed {
		ext |= extSealed
	}
	if ext != 0 {
		flags |= flagExtension
	}
	return flags, ext
}

func appendPairs(dst []byte, pairs []Pair) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(pairs)))
	for i := range pairs {
		dst = binary.AppendUvarint(dst, uint64(len(pairs[i].Tag)))
		dst = append(dst, pairs[i].Tag...)
		dst = append(dst, pairs[i].Generation[:]...)
	}
	return dst
}

// fixedSize is how many bytes id, deadline and namespace take.
const fixedSize = len(ID{}) + hardSize + len(Generation{})

const hardSize = 5

// opening returns the flags of a value and where its id begins; 0 if s is no
// value, or none that this version knows.
func opening(s string) (flags, ext byte, id int) {
	switch {
	case s == "":
		return 0, 0, 0
	case s[0]-plainByte < plainCodecs:
		return s[0] - plainByte, 0, 1
	case s[0] != valueByte || len(s) < 3 || s[1] < plainCodecs:
		return 0, 0, 0
	case s[1]&flagExtension == 0:
		return s[1], 0, 2
	case s[2] == 0 || s[2]&^extKnown != 0:
		return 0, 0, 0
	}
	return s[1], s[2], 3
}

// Parse decodes a value into e, reusing the room of e.Pairs. It never reads
// outside s, allocates nothing while the pairs fit, and returns [ErrCorrupt]
// for bytes that are truncated or use flags unknown to this version.
func Parse(s string, e *Entry) error {
	pairs := e.Pairs[:0]
	*e = Entry{Pairs: pairs}
	flags, ext, at := opening(s)
	if at == 0 || len(s) < at+fixedSize {
		return ErrCorrupt
	}
	r := reader{rest: s[at+fixedSize:]}
	at += copy(e.ID[:], s[at:])
	e.Hard = int64(s[at])<<32 | int64(s[at+1])<<24 | int64(s[at+2])<<16 | int64(s[at+3])<<8 | int64(s[at+4])
	e.Hard += epoch2024
	e.Soft = e.Hard
	copy(e.Namespace[:], s[at+hardSize:])
	e.Codec = Codec(flags & codecMask)
	if flags < plainCodecs {
		e.Payload = r.rest
		return nil
	}
	e.Negative = flags&flagNegative != 0
	e.Compression, e.Sealed = ext&extCompression>>2, ext&extSealed != 0
	e.HasSchema, e.HasWritten = ext&extSchema != 0, ext&extWritten != 0
	if flags&flagSoft != 0 {
		grace := r.uvarint()
		r.bad = r.bad || grace == 0 || grace > maxHard
		e.Soft -= int64(grace)
	}
	if ext&extLoad != 0 {
		e.LoadMillis = r.uvarint()
		r.bad = r.bad || e.LoadMillis == 0
	}
	if flags&flagVersion != 0 {
		e.Version = r.big(8)
		r.bad = r.bad || e.Version == 0
	}
	if e.HasSchema {
		e.Schema = uint32(r.big(4))
	}
	if e.HasWritten {
		e.Written = uint16(r.big(2))
	}
	if flags&flagTags != 0 {
		e.Pairs = r.pairs(e.Pairs)
	}
	if r.bad {
		return ErrCorrupt
	}
	e.Payload = r.rest
	return nil
}

// Seconds is the form of a time, in Unix milliseconds, in [Entry.Written].
func Seconds(ms int64) uint16 { return uint16((ms - epoch2024) / 1000) }

// Age returns how many seconds before the time ms, in Unix milliseconds, e was
// written, modulo 2^16. It reports false if e does not say.
func (e *Entry) Age(ms int64) (seconds uint16, ok bool) {
	return Seconds(ms) - e.Written, e.HasWritten
}

// Prefix returns the leading bytes of a present string that no other write is
// taken to have produced: what comes before the id of a value, the id and the hard
// deadline; the whole string of everything else. It is what a takeover and a
// refill compare.
//
// Two values of one key have the same prefix if the 48 random bits of their ids
// and, to the millisecond, their deadlines agree: once in 2.8 × 10^14 pairs that
// have the same deadline. Of an expired value only the id is new: once in
// 2.8 × 10^14 times a refresh that an Expire overtakes makes it fresh again. A
// takeover that is mistaken costs a load.
func Prefix(s string) string {
	_, _, id := opening(s)
	if id == 0 {
		return s
	}
	return s[:min(id+len(ID{})+hardSize, len(s))]
}

// ParseLease returns the token of a lease.
func ParseLease(s string) (t Token, err error) {
	if len(s) != 1+len(t) || s[0] != leaseByte {
		return t, ErrCorrupt
	}
	copy(t[:], s[1:])
	return t, nil
}
