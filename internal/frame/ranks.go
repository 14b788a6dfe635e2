package frame

import "encoding/binary"

// RankLimit is how many names a ranking keeps.
const RankLimit = 1024

// Rank is a name with how often something happened to it.
type Rank struct {
	Name  string
	Count uint64
}

// AppendRanks appends ranks to dst: for each the length of the name, the name
// and the count, numbers as unsigned varints.
func AppendRanks(dst []byte, ranks []Rank) []byte {
	for _, r := range ranks {
		dst = binary.AppendUvarint(dst, uint64(len(r.Name)))
		dst = append(dst, r.Name...)
		dst = binary.AppendUvarint(dst, r.Count)
	}
	return dst
}

// ParseRanks reads what [AppendRanks] wrote. It fails with [ErrCorrupt].
func ParseRanks(data string) ([]Rank, error) {
	var ranks []Rank
	for len(data) > 0 {
		size, n := uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return nil, ErrCorrupt
		}
		r := Rank{Name: data[n : n+int(size)]}
		data = data[n+int(size):]
		if r.Count, n = uvarint(data); n <= 0 {
			return nil, ErrCorrupt
		}
		data = data[n:]
		ranks = append(ranks, r)
	}
	return ranks, nil
}

// uvarint is binary.Uvarint on a string.
func uvarint(data string) (uint64, int) {
	return binary.Uvarint([]byte(data[:min(len(data), binary.MaxVarintLen64)]))
}
