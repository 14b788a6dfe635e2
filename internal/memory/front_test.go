package memory

import "testing"

// TestFront holds that the front finds what was put, drops what it is told to
// and nothing else, and that slots are displaced, never confused.
func TestFront(t *testing.T) {
	f := NewFront[item](64)
	one, two := &item{1, 1}, &item{2, 1}
	if f.Get(1) != nil {
		t.Error("found nothing's entry")
	}
	f.Put(1, one)
	if f.Get(1) != one {
		t.Error("not found")
	}
	f.Drop(1, two) // another entry of that key is gone
	if f.Get(1) != one {
		t.Error("dropped the wrong entry")
	}
	f.Put(1, two)
	f.Drop(1, one) // too late
	if f.Get(1) != two {
		t.Error("the late news of a replaced entry dropped the new one")
	}
	f.Drop(1, two)
	if f.Get(1) != nil {
		t.Error("still there")
	}
}
