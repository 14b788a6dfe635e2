package redistier

import (
	"strconv"
	"strings"
)

const (
	// slots is how many a Redis Cluster has.
	slots = 16384
	// stripes is how many parts the key space of a cluster has, each with the
	// control keys of its slots.
	stripes = 64
	// perRegistry is how many stripes share one registry of members.
	perRegistry = 4

	slotsPerStripe = slots / stripes
)

// crcTable is that of CRC-16/XMODEM, polynomial 0x1021.
var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			if crc <<= 1; carry {
				crc ^= 0x1021
			}
		}
		table[i] = crc
	}
	return table
}()

func crc16(s string) (crc uint16) {
	for i := range len(s) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^s[i]]
	}
	return crc
}

// slotOf returns the slot of a key in a cluster: the CRC of its hash tag.
func slotOf(key string) int { return int(crc16(hashTag(key)) % slots) }

// hashTag returns what stands between the first braces of key if that is not
// empty, else all of it.
func hashTag(key string) string {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			return tag
		}
	}
	return key
}

// hashTags are texts of which the i-th has a slot of the i-th stripe: the least
// number in base 36 that does. All processes find the same.
var hashTags = func() (tags [stripes]string) {
	missing := stripes
	for n := int64(0); missing > 0; n++ {
		text := strconv.FormatInt(n, 36)
		if i := slotOf(text) / slotsPerStripe; tags[i] == "" {
			tags[i] = text
			missing--
		}
	}
	return tags
}()
