package memory

import "testing"

// TestFront holds that the front finds what was put, drops what it is told to
// and nothing else, and that slots are displaced, never confused.
func TestFront(t *testing.T) {
	f := NewFront[item](64)
	one, two := &item{1, 1}, &item{2, 1}
	const key, other = 1, 1 + 1<<40 // of one slot
	expect := func(what string, hash uint64, want *item) {
		t.Helper()
		if e, _ := f.Get(hash); e != want {
			t.Errorf("%s: found %v", what, e)
		}
	}
	expect("nothing", key, nil)
	f.Put(key, one, 7)
	expect("an entry", key, one)
	if _, hint := f.Get(key); hint != 7 {
		t.Errorf("the hint is %d", hint)
	}
	expect("another hash", other, nil)
	f.Drop(key, two)
	expect("after news of another entry of the key", key, one)
	f.Put(key, two, 8)
	f.Drop(key, one)
	expect("after late news of the replaced one", key, two)
	f.Put(other, one, 9)
	expect("the second of two keys", other, one)
	expect("the first, displaced", key, nil)
	f.Drop(other, one)
	expect("a dropped one", other, nil)
}
