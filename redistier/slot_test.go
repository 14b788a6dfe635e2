package redistier

import (
	"fmt"
	"testing"
)

// TestSlots holds the slots of known keys, as the cluster specification and a
// server compute them.
func TestSlots(t *testing.T) {
	for key, want := range map[string]int{
		"": 0, "123456789": 0x31C3, "foo": 12182, "{foo}bar": 12182, "x{foo}{bar}": 12182, "foo{}{bar}": slotOf("foo{}{bar}"),
		"{}foo": int(crc16("{}foo")) % slots, "a{b": int(crc16("a{b")) % slots, "foo{{bar}}zap": int(crc16("{bar")) % slots,
	} {
		if got := slotOf(key); got != want {
			t.Errorf("slot of %q is %d, want %d", key, got, want)
		}
	}
}

// TestControlKeysShareSlots: what one script touches lies in one slot, whatever
// the names of namespace and tags; a script over two slots would be refused.
func TestControlKeysShareSlots(t *testing.T) {
	k := newClusterKeys("shop")
	used := map[int]bool{}
	for i := range k.stripes {
		s := &k.stripes[i]
		slot := slotOf(s.namespace)
		if slot/slotsPerStripe != i {
			t.Errorf("stripe %d has slot %d", i, slot)
		}
		for _, key := range []string{s.log, s.life, s.beat, s.probe + "#7", s.members, s.requests, s.acks, s.staleness} {
			if slotOf(key) != slot {
				t.Errorf("%q is not in slot %d", key, slot)
			}
		}
	}
	for i := range 1000 {
		tag := fmt.Sprintf("t%d{x}", i)
		key := k.tagKey(tag)
		if slotOf(key) != slotOf(k.logOf(key)) {
			t.Errorf("%q and its log %q", key, k.logOf(key))
		}
		used[k.stripeOf(key).index] = true
		if r := k.registryOf(key); r.index%perRegistry != 0 || r.index > k.stripeOf(key).index {
			t.Errorf("registry %d for stripe %d", r.index, k.stripeOf(key).index)
		}
	}
	if len(used) != stripes {
		t.Errorf("tags use %d of %d stripes", len(used), stripes)
	}
}
