package larder

import (
	"context"
	"strings"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
)

// verdict is what a look means for the read.
type verdict uint8

const (
	verdictAbsent   verdict = iota
	verdictHit              // outcome is set
	verdictStale            // as well, and it is to be refreshed
	verdictBusy             // somebody loads
	verdictHeld             // fills are refused
	verdictOutdated         // must be replaced
	verdictUnfit            // current, but of another version of the program
	verdictError            // nothing to conclude
)

// judge decides about the string that was found under the entry's key.
func (k *Keyspace[K, V]) judge(ctx context.Context, r *request[K, V], l *look, found *outcome[V]) verdict {
	switch frame.KindOf(l.reply.Data) {
	case frame.Lease:
		return verdictBusy
	case frame.Hold:
		return verdictHeld
	case frame.Foreign:
		return k.judgeForeign(r, l, found)
	}
	e := &l.entry
	e.Pairs = l.pairs[:0]
	if err := frame.Parse(l.reply.Data, e); err != nil {
		k.stats.corrupt.Add()
		return verdictOutdated
	}
	stale, gone := k.judgeAge(e, l.epoch.serverTime(l.back))
	if gone {
		return verdictOutdated
	}
	// Before grace: what was invalidated is not stale, it is wrong.
	if v := k.judgeGenerations(ctx, r, l, e); v != verdictHit {
		return v
	}
	v := k.accept(r, l, e, found)
	switch {
	case v == verdictHit && stale:
		found.stale, found.source = true, sourceStale
		return verdictStale
	case v == verdictHit && k.early > 0 && e.LoadMillis > 0 && !e.Negative:
		found.early = k.draws(l.freshFor(), k.cache.heat.hurried(r.hash, loadTime(e)))
	}
	return v
}

// judgeGenerations compares the generations an entry was loaded under with the
// present ones. A mismatch is looked at twice: the first reading may be older
// than the entry.
func (k *Keyspace[K, V]) judgeGenerations(ctx context.Context, r *request[K, V], l *look, e *frame.Entry) verdict {
	k.learnTags(r, l, e)
	if r.matches(l, e) {
		return verdictHit
	}
	if !l.again(ctx, k.cache, r.deps) || !l.epoch.Alive() {
		return verdictError
	}
	if k.cache.pending.has(r.entry, r.deps) { // after the tickets; see Cache.remove
		return verdictError
	}
	if r.matches(l, e) {
		return verdictHit
	}
	if anyHeld(l.gens) {
		return verdictHeld
	}
	k.stats.outdated.Add()
	return verdictOutdated
}

// learnTags adds the tags an entry carries beyond those its keyspace declares:
// its loader added them, or another version of the program declared them.
func (k *Keyspace[K, V]) learnTags(r *request[K, V], l *look, e *frame.Entry) {
	for i := range e.Pairs {
		if indexOf(r.tags, e.Pairs[i].Tag) < 0 {
			r.addTag(k.cache, strings.Clone(e.Pairs[i].Tag))
			l.gens = append(l.gens, nil)
		}
	}
}

// unlearn takes the learned tags away: another value need not carry them.
func (r *request[K, V]) unlearn(l *look) {
	extra := len(r.tags) - r.declared
	r.tags = r.tags[:r.declared]
	r.deps = r.deps[:len(r.deps)-extra]
	l.gens = l.gens[:min(len(l.gens), len(r.deps))]
}

// matches reports whether e carries the generation found for everything the
// request depends on. What is missing on either side never matches.
func (r *request[K, V]) matches(l *look, e *frame.Entry) bool {
	for _, g := range l.gens {
		if g == nil || g.held {
			return false
		}
	}
	if e.Namespace != l.gens[0].value {
		return false
	}
	first := r.tagAt()
	for i, tag := range r.tags {
		if !carries(e, tag, l.gens[first+i].value) {
			return false
		}
	}
	return true
}

func carries(e *frame.Entry, tag string, value frame.Generation) bool {
	for i := range e.Pairs {
		if e.Pairs[i].Tag == tag {
			return e.Pairs[i].Generation == value
		}
	}
	return false
}

// accept decodes a current entry, keeps it in memory if nothing changed since
// the look, and makes it the outcome.
func (k *Keyspace[K, V]) accept(r *request[K, V], l *look, e *frame.Entry, found *outcome[V]) verdict {
	value, size, fit := k.decode(r.entry, e)
	if fit != fitting {
		return l.unusable(fit, e)
	}
	*found = outcome[V]{} // a literal with values would be made elsewhere, then copied
	found.value, found.negative, found.source, found.shared = value, e.Negative, sourceRemote, true
	found.evidence, found.proof, found.learned = l.least, l.proof, r.learned(l.gens)
	if k.cache.watched() {
		k.tellEntry(EventHit, r.key, "", 0)
	}
	if k.memory != nil {
		t := terms{evidence: found.evidence, ticket: l.ticket, epoch: l.epoch, tags: l.gens, negative: e.Negative}
		from := l.epoch.serverTime(l.sent)
		k.age(&t, clock.Add(l.sent, time.Duration(e.Soft-from)*time.Millisecond),
			clock.Add(l.sent, time.Duration(e.Hard-from)*time.Millisecond), loadTime(e))
		k.keep(r, &t, value, size)
	}
	return verdictHit
}

// decode returns the value of an entry and the size of its encoding; a negative
// entry has neither.
func (k *Keyspace[K, V]) decode(key string, e *frame.Entry) (value V, size int, f fit) {
	if !e.Sealed && e.Compression == 0 {
		return k.decodeIn(nil, key, e)
	}
	room := borrowScratch()
	defer room.giveBack()
	return k.decodeIn(room, key, e)
}

// untaggedHeader is how many bytes there are at most before the payload of an
// entry without tags. Who keeps the payload without a copy keeps them too.
const untaggedHeader = 64

// decodeIn is decode with room for a payload that is sealed or compressed.
func (k *Keyspace[K, V]) decodeIn(room *scratch, key string, e *frame.Entry) (value V, size int, f fit) {
	payload, f := k.packing.unpack(e, key, room, &k.stats)
	if f != fitting || e.Negative {
		return value, 0, f
	}
	if k.share != nil && room == nil && len(e.Pairs) == 0 {
		return k.share.share(e.Payload), len(payload) + untaggedHeader, fitting
	}
	value, err := k.opts.Codec.Decode(payload)
	if err != nil {
		k.stats.codecErrors.Add()
		return value, 0, damaged
	}
	return value, len(payload), fitting
}

// judgeForeign decides about a string that another program wrote. It carries
// no generations, so only keyspaces that declare no tag may serve it, and none
// that encrypts; it survives Clear, and is never kept in memory, where nobody
// would know how long it may live.
func (k *Keyspace[K, V]) judgeForeign(r *request[K, V], l *look, found *outcome[V]) verdict {
	data := l.reply.Data
	if len(r.deps) > 1 || k.dynamic || k.packing.ring != nil {
		return verdictOutdated
	}
	if len(data) > k.packing.maxValue {
		k.stats.tooLarge.Add()
		return verdictOutdated
	}
	value, err := k.opts.Codec.Decode(bytesOf(data))
	if err != nil {
		k.stats.codecErrors.Add()
		return verdictOutdated
	}
	k.stats.foreign.Add()
	*found = outcome[V]{value: value, source: sourceRemote, shared: true, evidence: l.sent, proof: l.proof}
	return verdictHit
}

func indexOf(list []string, s string) int {
	for i := range list {
		if list[i] == s {
			return i
		}
	}
	return -1
}
