package acceptance

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// maxStaleness is the default of the cache: T.
const maxStaleness = time.Second

// renames returns how often is renamed.
func renames() int {
	if long() {
		return 1000
	}
	return 250
}

// pair starts two servers over one database and one Redis.
func pair(t *testing.T) (a, b *qadash) {
	redis := lardertest.StartRedis(t)
	file := filepath.Join(t.TempDir(), "qadash.db")
	a, b = startQadash(t, file, redis.Addr()), startQadash(t, file, redis.Addr())
	until(t, 5*time.Second, "connected", func() bool { return a.connected() && b.connected() })
	return a, b
}

// What one process changed, the next exact read of another process shows:
// every time, however warm its caches are.
func TestRenameIsReadByTheNextExactRequest(t *testing.T) {
	a, b := pair(t)
	path := fmt.Sprintf("/api/v1/suites/%d", a.createSuite("number 0").ID)
	seen := 0
	for i := 1; i <= renames(); i++ {
		writer, reader := a, b
		if i%2 == 0 {
			writer, reader = b, a
		}
		reader.name(path, false) // its memory holds the old name now
		name := fmt.Sprint("number ", i)
		writer.rename(path, name)
		if got := reader.name(path, true); got == name {
			seen++
		} else if i-seen < 10 {
			t.Errorf("after the rename to %q an exact read says %q", name, got)
		}
	}
	t.Logf("%d of %d renames were read by the next exact request to the other process", seen, renames())
}

// A read that may come from memory shows a change within MaxStaleness, and
// nearly always at once.
func TestRenameIsReadWithinMaxStaleness(t *testing.T) {
	a, b := pair(t)
	path := fmt.Sprintf("/api/v1/suites/%d", a.createSuite("number 0").ID)
	stale, oldest := 0, time.Duration(0)
	for i := 1; i <= renames(); i++ {
		b.name(path, false)
		name := fmt.Sprint("number ", i)
		a.rename(path, name)
		renamed := time.Now()
		for late := false; ; late = true {
			began := time.Now()
			if b.name(path, false) == name {
				break
			}
			if age := began.Sub(renamed); age > oldest {
				oldest = age
			}
			if !late {
				stale++
			}
			if oldest > maxStaleness {
				t.Fatalf("rename %d: the old name was read %v after it", i, oldest)
			}
		}
	}
	hits := b.do("GET", path, "", false)
	t.Logf("%d of %d renames were not read by the very next request (%s), the oldest stale read began %v after the reply", stale, renames(), hits.tiers, oldest)
	if hits.tiers != "suite=memory" {
		t.Errorf("reads come from %q, so memory was not tested", hits.tiers)
	}
}
