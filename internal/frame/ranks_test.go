package frame

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// What was appended is read again, names of any bytes included.
func TestRanks(t *testing.T) {
	ranks := []Rank{{"suite:1", 1}, {"", 0}, {"\x00\xff:" + strings.Repeat("x", 600), 1<<64 - 1}}
	data := string(AppendRanks(nil, ranks))
	got, err := ParseRanks(data)
	if err != nil || !slices.Equal(got, ranks) {
		t.Errorf("read %v, %v", got, err)
	}
	for cut := 1; cut < len(data); cut++ {
		if got, err := ParseRanks(data[:cut]); err != nil && !errors.Is(err, ErrCorrupt) || err == nil && !slices.Equal(got, ranks[:len(got)]) {
			t.Errorf("cut at %d: %v, %v", cut, got, err)
		}
	}
}

// Whatever bytes come, reading them neither panics nor invents names longer
// than the data; what is accepted survives another round.
func FuzzParseRanks(f *testing.F) {
	f.Add(string(AppendRanks(nil, []Rank{{"a", 1}, {"bc", 300}})))
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Add("\x05abc")
	f.Fuzz(func(t *testing.T, data string) {
		ranks, err := ParseRanks(data)
		if err != nil {
			return
		}
		again, err := ParseRanks(string(AppendRanks(nil, ranks)))
		if err != nil || !slices.Equal(again, ranks) {
			t.Errorf("%q: %v, then %v, %v", data, ranks, again, err)
		}
	})
}
