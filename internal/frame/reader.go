package frame

// reader takes bytes from the front of rest; once something is missing it is
// bad and yields zeros.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) take(n int) string {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) byte() byte {
	if s := r.take(1); s != "" {
		return s[0]
	}
	return 0
}

func (r *reader) copy(dst []byte) { copy(dst, r.take(len(dst))) }

func (r *reader) big(n int) (v uint64) {
	s := r.take(n)
	for i := range len(s) {
		v = v<<8 | uint64(s[i])
	}
	return v
}

// uvarint reads the shortest form of a varint; longer forms are corrupt, so
// that a value has one byte form only.
func (r *reader) uvarint() (v uint64) {
	for shift := 0; shift < 64 && !r.bad; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			r.bad = r.bad || b == 0 && shift > 0 || shift == 63 && b > 1
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *reader) pairs(dst []Pair) []Pair {
	n := r.uvarint()
	if n == 0 || n > MaxTags {
		r.bad = true
		return dst
	}
	for range n {
		size := r.uvarint()
		if r.bad || size > uint64(len(r.rest)) {
			r.bad = true
			return dst
		}
		p := Pair{Tag: r.take(int(size))}
		r.copy(p.Generation[:])
		dst = append(dst, p)
	}
	return dst
}
