package lardertest

import "testing"

// TestSentinel holds that a failover by the Sentinels changes the master.
func TestSentinel(t *testing.T) {
	s := StartSentinel(t)
	if got := s.Master(); got != s.Servers[0] {
		t.Fatalf("the master is %v", got)
	}
	s.Failover(t)
	if got := s.Master(); got != s.Servers[1] {
		t.Errorf("after a failover the master is %v", got)
	}
}

// TestCluster holds that slots move and masters fail over with their keys.
func TestCluster(t *testing.T) {
	c := StartCluster(t)
	first, second := c.Owner(0), c.Owner(clusterSlots-1)
	if first == nil || first == second {
		t.Fatalf("slots at %v and %v", first, second)
	}
	const key, slot = "foo", 12182
	owner := c.Owner(slot)
	c.must(t, owner, "SET", key, "bar")
	c.MoveSlot(t, slot, first)
	if got := c.Owner(slot); got != first {
		t.Errorf("the slot is at %v", got)
	}
	if got := c.must(t, first, "GET", key); got != "bar" {
		t.Errorf("moved %q", got)
	}
	c.must(t, first, "WAIT", "1", "1000")
	c.Failover(t, slot)
	next := c.Owner(slot)
	if next == first {
		t.Error("the master did not change")
	}
	if got := c.must(t, next, "GET", key); got != "bar" {
		t.Errorf("after the failover %q", got)
	}
}
