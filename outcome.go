package larder

import "time"

// outcome is what a flight brings home.
type outcome[V any] struct {
	value    V
	err      error
	negative bool
	source   source
	shared   bool          // joiners may use it if the evidence suffices
	raise    bool          // err is a [*PanicError] of this load: the leader panics
	stale    bool          // past its TTL, within grace
	early    bool          // fresh, and to be refreshed all the same
	evidence int64         // send time of the proving request
	proof    int           // its number in the flight; 0: only evidence counts
	version  uint64        // of the source, if its loader said it
	learned  []*generation // of tags that nobody knew when the flight began

	took time.Duration // of a load
	life span          // of a loaded value
}

// panicAgain raises the panic of a loader where its load was led.
func (o *outcome[V]) panicAgain() {
	if o.raise {
		panic(o.err.(*PanicError).Value)
	}
}

// admits reports whether a joiner with this place may use o. Evidence that is
// not newer than the joiner still suffices if the request was sent after it
// joined.
func (o *outcome[V]) admits(place int, floor int64, exact bool) bool {
	switch {
	case o.err != nil && !o.negative:
		return true // an error is never outdated
	case !o.shared:
		return false
	case place < o.proof:
		return true
	}
	return !exact && o.evidence >= floor
}

// trusts reports whether a read may use what a flight brought; honoured says
// whether its token was honoured when it joined and still is. What Redis had, or
// took, says nothing to a read whose token it does not honour, whatever the order:
// an invalidation that is not confirmed removes no lease and no value. A load
// without Redis that is admitted began after the read.
func (o *outcome[V]) trusts(honoured bool) bool {
	return honoured || o.source == sourceBypass || o.err != nil && !o.negative
}

// settle counts an outcome and hands it over.
func (k *Keyspace[K, V]) settle(o outcome[V]) (V, error) {
	k.stats.count(o.counts())
	return k.handOver(&o)
}

// counts returns what an answer by o counts as.
func (o *outcome[V]) counts() source {
	switch {
	case o.err != nil && !o.negative:
		return sourceError
	case o.negative && o.source == sourceRemote:
		return sourceNegative
	}
	return o.source
}

func (k *Keyspace[K, V]) handOver(o *outcome[V]) (V, error) {
	if o.err != nil && !o.negative {
		var none V
		return none, o.err
	}
	return k.hand(o.value, o.negative)
}
