package larder

import (
	"context"
	"encoding/base64"
	"fmt"
	"hash/fnv"
)

// noRuns is the fingerprint of servers that are not all known.
const noRuns uint64 = 0

// runs returns a fingerprint of the lives of all servers, equal in every
// process that sees the same ones.
func (c *Cache) runs() uint64 {
	if c.remote == nil {
		return 1
	}
	h := fnv.New64a()
	last := ""
	for _, key := range c.remote.NamespaceKeys() {
		run := c.remote.RunID(key)
		if run == "" {
			return noRuns
		}
		if run != last {
			h.Write([]byte(run))
			last = run
		}
	}
	return h.Sum64() | 1
}

// A Token makes later reads, in any process, see a change that was
// invalidated: read your writes, carried by a header or a cookie. The zero
// Token demands nothing. See package larderhttp.
type Token struct {
	runs    uint64 // fingerprint of the servers that confirmed; noRuns: none did
	demands bool
}

// InvalidateToken is [Cache.Invalidate] that also returns a token for reads
// which must see the change, also when the error is [ErrPending].
func (c *Cache) InvalidateToken(ctx context.Context, targets ...Target) (Token, error) {
	before := c.runs()
	err := c.Invalidate(ctx, targets...)
	if err != nil || before != c.runs() {
		before = noRuns
	}
	return Token{runs: before, demands: true}, err
}

// After makes a read see the change of token: it is [Exact], and if the
// invalidation was not confirmed, or a server is not the one that confirmed it
// any more, the value is loaded and stored nowhere.
func After(token Token) ReadOption { return ReadOption{set: token.demands, token: token} }

// honours reports whether what Redis has now can be trusted to reflect the
// invalidation of t.
func (c *Cache) honours(t Token) bool {
	return !t.demands || t.runs != noRuns && t.runs == c.runs()
}

const tokenSize = 9

// String returns the token as 12 characters of URL-safe text, empty for the
// zero Token. It holds no secret.
func (t Token) String() string {
	if !t.demands {
		return ""
	}
	b := make([]byte, tokenSize)
	b[0] = 1 // version
	for i := range 8 {
		b[i+1] = byte(t.runs >> (56 - 8*i))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseToken reads the text form of a token; empty text is the zero Token. It
// fails with [ErrInvalidToken]. A forged token costs its sender a load.
func ParseToken(text string) (t Token, err error) {
	if text == "" {
		return t, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != tokenSize || b[0] != 1 {
		return t, fmt.Errorf("%w: %.24q", ErrInvalidToken, text)
	}
	for _, c := range b[1:] {
		t.runs = t.runs<<8 | uint64(c)
	}
	t.demands = true
	return t, nil
}
