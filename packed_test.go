package larder

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/larder-go/larder/internal/clock"
)

// TestPackedEntriesSayLess holds which way rounding goes: evidence to the past
// by less than a microsecond, weights up by less than a thousandth, and neither
// deadline later than asked for.
func TestPackedEntriesSayLess(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k, err := newKeyspace(c, "packed", KeyspaceOptions[int64, int64]{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	ticket := c.board.Issue("a")
	for range 100_000 {
		now := random.Int64() - random.Int64()
		want := terms{evidence: now, due: clock.Add(now, time.Duration(random.Int64N(int64(maxAge)))), ticket: ticket}
		weight := random.Uint32() >> random.IntN(32) >> 1
		h := k.head(&want, weight)
		if lost := want.evidence - h.evidence(); lost < 0 || lost >= 1000 {
			t.Fatalf("evidence %d became %d", want.evidence, h.evidence())
		}
		if more := int64(h.weight()) - int64(weight); more < 0 || more > int64(weight)>>10 {
			t.Fatalf("a weight of %d became %d", weight, h.weight())
		}
		if again := k.head(&want, h.weight()); h.due != want.due || again.weight() != h.weight() {
			t.Fatalf("deadline %d became %d, weight %d %d", want.due, h.due, h.weight(), again.weight())
		}
	}
}

// TestPackedEntriesAtTheirLimits holds what does not fit: an entry above the
// longest age lives shorter, one that is over already has no evidence from the
// time after, and what nothing proves stays unproven.
func TestPackedEntriesAtTheirLimits(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k, err := newKeyspace(c, "packed", KeyspaceOptions[int64, int64]{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ticket := c.board.Issue("a")
	for _, want := range []terms{
		{evidence: 5, due: always},
		{evidence: -5, due: always},
		{evidence: 5_000_000, due: 2},
		{evidence: clock.Never, due: 100},
		{evidence: clock.Never, due: clock.Never},
		{evidence: always, due: always},
		{evidence: always, due: 100},
	} {
		want.ticket = ticket
		h := k.head(&want, 1)
		if h.evidence() > want.evidence || h.due > want.due {
			t.Errorf("evidence %d, deadline %d became %d, %d", want.evidence, want.due, h.evidence(), h.due)
		}
		if want.evidence == always && (h.evidence() != always || h.due != want.due) {
			t.Errorf("what needs no proof became %d, %d", h.evidence(), h.due)
		}
	}
}

// TestEntriesShareWhatTheyCan holds the size of an entry: a row behind a
// pointer takes 48 bytes, and what it depends on is held once for all.
func TestEntriesShareWhatTheyCan(t *testing.T) {
	if size := unsafe.Sizeof(entry[int64, *int]{}); size != 48 {
		t.Errorf("an entry takes %d bytes", size)
	}
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k, err := NewKeyspace(c, "shared", KeyspaceOptions[int64, int64]{TTL: time.Hour,
		Tags: func(key int64) []string { return []string{"even", "odd"}[key%2 : key%2+1] }})
	if err != nil {
		t.Fatal(err)
	}
	for key := range int64(100) {
		if err := k.Set(t.Context(), key, key); err != nil {
			t.Fatal(err)
		}
	}
	of := map[*bond]int{}
	for _, h := range c.memory.All() {
		of[h.bond]++
	}
	if len(of) != 2 {
		t.Errorf("100 entries of two tags have %d bonds", len(of))
	}
}
