package larder

import (
	"sync"
	"time"

	"github.com/larder-go/larder/internal/clock"
)

// Limits of the journal.
const (
	journalTime  = 2 * time.Minute
	journalLimit = 10_000
)

// journal remembers the removals of the last minutes. Replication is
// asynchronous: a master that takes over may not have received them, so they
// are carried out again when the servers' run ids change.
type journal struct {
	mu      sync.Mutex
	entries []journalEntry // oldest first
	lost    int64          // when an entry younger than journalTime was last dropped; 0: never
}

type journalEntry struct {
	op Op
	at int64
}

func (j *journal) add(ops []Op) {
	now := clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.prune(now)
	for _, op := range ops {
		j.entries = append(j.entries, journalEntry{op, now})
	}
	if over := len(j.entries) - journalLimit; over > 0 {
		j.lost = max(now, 1)
		j.entries = j.entries[over:] // append makes room again, now and then
	}
}

// prune drops what is too old. The caller holds the lock.
func (j *journal) prune(now int64) {
	old := 0
	for old < len(j.entries) && now-j.entries[old].at > int64(journalTime) {
		old++
	}
	j.entries = j.entries[old:]
}

// recent returns the removals of the last minutes, each key once, or all, if
// some had to be dropped.
func (j *journal) recent(all []Op) []Op {
	now := clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.prune(now)
	if j.lost != 0 && now-j.lost <= int64(journalTime) {
		return all
	}
	seen := make(map[string]bool, len(j.entries))
	var ops []Op
	for i := len(j.entries) - 1; i >= 0; i-- {
		if op := j.entries[i].op; !seen[op.Key] {
			seen[op.Key] = true
			ops = append(ops, op)
		}
	}
	return ops
}

// checkRuns carries out the journal again if a server is not the one it was:
// its removals count as not confirmed until they are.
func (c *Cache) checkRuns() {
	runs := c.runs()
	if runs == noRuns {
		return
	}
	if last := c.lastRuns.Swap(runs); last == noRuns || last == runs {
		return
	}
	if ops := c.journal.recent(c.removeAll()); len(ops) > 0 {
		c.pending.add(ops, c.removeAll())
		c.kill(ops)
		c.opts.Logger.Warn("larder: a server is not the one it was, repeating recent invalidations", "keys", len(ops))
		_ = c.retryPending(c.ctx) // what fails stays and is tried after the next heartbeat
	}
}
