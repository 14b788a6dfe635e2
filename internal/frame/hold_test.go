package frame

import (
	"errors"
	"slices"
	"testing"
)

// TestHold holds that a hold-off survives its bytes, and that bytes which are
// none are told.
func TestHold(t *testing.T) {
	for _, holders := range [][]Holder{
		{},
		{{Token: Token{1}, Until: 1}},
		{{Token: Token{1, 2, 3, 4, 5, 6, 7, 8}, Until: aHard}, {Token: Token{0xFB}, Until: 1<<48 - 1}},
	} {
		b := string(AppendHold(nil, holders))
		if KindOf(b) != Hold {
			t.Errorf("%q is no hold-off", b)
		}
		got, err := ParseHold(b)
		if err != nil || !slices.Equal(got, holders) {
			t.Errorf("%v became %v, %v", holders, got, err)
		}
	}
	for _, b := range []string{"", "\xFB1", "\xFA12345678123456", "\xFB123456781234567"} {
		if got, err := ParseHold(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q became %v, %v", b, got, err)
		}
	}
}
