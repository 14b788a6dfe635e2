package frame

// Holder is one of those who keep a hold-off.
type Holder struct {
	Token Token
	Until int64 // Unix milliseconds of the server's clock
}

const holderSize = len(Token{}) + 6

// AppendHold appends the bytes of a hold-off.
func AppendHold(dst []byte, holders []Holder) []byte {
	dst = append(dst, holdByte)
	for _, h := range holders {
		u := h.Until
		dst = append(dst, h.Token[:]...)
		dst = append(dst, byte(u>>40), byte(u>>32), byte(u>>24), byte(u>>16), byte(u>>8), byte(u))
	}
	return dst
}

// ParseHold returns the holders of a hold-off, or [ErrCorrupt].
func ParseHold(s string) ([]Holder, error) {
	if KindOf(s) != Hold || (len(s)-1)%holderSize != 0 {
		return nil, ErrCorrupt
	}
	r := reader{rest: s[1:]}
	holders := make([]Holder, len(r.rest)/holderSize)
	for i := range holders {
		r.copy(holders[i].Token[:])
		holders[i].Until = int64(r.big(6))
	}
	return holders, nil
}
