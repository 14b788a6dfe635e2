package msgpack

import (
	"encoding/binary"
	"errors"
)

// maxDepth is how deep values may be nested, as in encoding/json. The decoder
// calls itself for each level, and a stack that overflows ends the process.
const maxDepth = 10_000

var (
	errTruncated = errors.New("it ends too early")
	errTrailing  = errors.New("something follows")
	errNested    = errors.New("nested too deep")
	errUnknown   = errors.New("a byte that begins nothing")
)

// validate reports whether data is one value of MessagePack, in one pass
// without recursion.
func validate(data []byte) error {
	var few [32]uint64
	left := append(few[:0], 1) // values that are missing, by level
	for len(left) > 0 {
		top := &left[len(left)-1]
		if *top == 0 {
			left = left[:len(left)-1]
			continue
		}
		*top--
		size, children, err := first(data)
		if err != nil {
			return err
		}
		data = data[size:]
		switch {
		case children > uint64(len(data)):
			return errTruncated
		case children > 0 && len(left) == maxDepth:
			return errNested
		case children > 0:
			left = append(left, children)
		}
	}
	if len(data) > 0 {
		return errTrailing
	}
	return nil
}

// sizes of values from 0xc0 to 0xdf that say nothing about their length.
var sizes = [32]uint64{0x00: 1, 0x02: 1, 0x03: 1, 0x0a: 5, 0x0b: 9, 0x0c: 2, 0x0d: 3, 0x0e: 5, 0x0f: 9,
	0x10: 2, 0x11: 3, 0x12: 5, 0x13: 9, 0x14: 3, 0x15: 4, 0x16: 6, 0x17: 10, 0x18: 18}

// first returns how many bytes the value at the beginning of data takes
// without its children, and how many of those follow.
func first(data []byte) (size, children uint64, err error) {
	if len(data) == 0 {
		return 0, 0, errTruncated
	}
	switch b := data[0]; {
	case b <= 0x7f || b >= 0xe0: // small integers
		size = 1
	case b <= 0x8f:
		size, children = 1, 2*uint64(b&0x0f)
	case b <= 0x9f:
		size, children = 1, uint64(b&0x0f)
	case b <= 0xbf:
		size = 1 + uint64(b&0x1f)
	case sizes[b-0xc0] > 0:
		size = sizes[b-0xc0]
	default:
		size, children, err = announced(b, data[1:])
	}
	if err == nil && size > uint64(len(data)) {
		err = errTruncated
	}
	return size, children, err
}

// announced is first for what begins with b and its length.
func announced(b byte, rest []byte) (size, children uint64, err error) {
	var width int
	switch b {
	case 0xc4, 0xc7, 0xd9:
		width = 1
	case 0xc5, 0xc8, 0xda, 0xdc, 0xde:
		width = 2
	case 0xc6, 0xc9, 0xdb, 0xdd, 0xdf:
		width = 4
	default:
		return 0, 0, errUnknown
	}
	if len(rest) < width {
		return 0, 0, errTruncated
	}
	var wide [8]byte
	copy(wide[8-width:], rest)
	n, head := binary.BigEndian.Uint64(wide[:]), uint64(1+width)
	switch b {
	case 0xc7, 0xc8, 0xc9: // a byte for the type
		return head + 1 + n, 0, nil
	case 0xdc, 0xdd:
		return head, n, nil
	case 0xde, 0xdf:
		return head, 2 * n, nil
	}
	return head + n, 0, nil
}
