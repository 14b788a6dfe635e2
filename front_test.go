package larder

import "testing"

// A replaced entry that comes back to the front late, after the news that it is
// gone, hides nothing.
//
//  1. a reader finds entry 1 in the engine
//  2. Set replaces it by entry 2; the front is told that 1 is gone
//  3. the reader puts entry 1 into the front
func TestLateFront(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k, err := NewKeyspace(c, "k", KeyspaceOptions[string, int]{})
	if err != nil {
		t.Fatal(err)
	}
	hash := k.hash("k")
	if err := k.Set(t.Context(), "k", 1); err != nil {
		t.Fatal(err)
	}
	old := c.memory.Get(hash)
	if err := k.Set(t.Context(), "k", 2); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		c.front.Put(hash, old, 0)
		if v, err := k.Lookup(t.Context(), "k"); v != 2 || err != nil {
			t.Fatalf("Lookup = %d, %v", v, err)
		}
	}
}
