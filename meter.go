package larder

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/histogram"
)

// meteredOps is how many kinds of remote operations can be told apart.
const meteredOps = 32

// The calls of a [Remote] that are no operation of their own, counted beside
// them.
const (
	opConfirm OpKind = meteredOps - 1 - iota
	opDeleteMatching
	opBeat
	opOther // no name
)

// opNames are the names of operations in [Stats.Remote].
var opNames = [meteredOps]string{
	OpGet: "get", OpAcquire: "acquire", OpTakeover: "takeover", OpFill: "fill", OpRefill: "refill", OpRelease: "release",
	OpRenew: "renew", OpSet: "set", OpSetNewer: "set_newer", OpDelete: "delete", OpHold: "hold", OpUnhold: "unhold",
	OpGeneration: "generation", OpBirths: "births", OpTagsSince: "tags_since", OpInspect: "inspect", OpExpire: "expire",
	OpLock: "lock", OpRank: "rank", OpRanks: "ranks",
	opBeat: "beat", opConfirm: "confirm", opDeleteMatching: "delete_matching", opOther: "other",
}

// callOutcome is how a remote operation ended.
type callOutcome uint8

const (
	callOK callOutcome = iota
	callTimeout
	callUnavailable
	callCanceled
	callError
	callOutcomes
)

func outcomeOf(err error) callOutcome {
	switch {
	case err == nil:
		return callOK
	case errors.Is(err, ErrUnavailable):
		return callUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		return callTimeout
	case errors.Is(err, context.Canceled):
		return callCanceled
	}
	return callError
}

// remoteMeter counts the operations that were sent to the remote tier. Those of
// one pipeline are counted each, with the time of the pipeline.
type remoteMeter [meteredOps]opMeter

type opMeter struct {
	ended [callOutcomes]atomic.Uint64
	took  histogram.Histogram
}

func (m *remoteMeter) count(kind OpKind, err error) {
	m[min(kind, meteredOps-1)].ended[outcomeOf(err)].Add(1)
}

// call counts a call that is no pipeline and began at sent.
func (m *remoteMeter) call(kind OpKind, err error, sent int64) {
	m.count(kind, err)
	m[kind].took.Observe(elapsed(sent))
}

// elapsed returns the nanoseconds since the monotonic time sent.
func elapsed(sent int64) uint64 { return uint64(max(clock.Now()-sent, 0)) }

// send carries out ops as [Remote.Do] does, and counts them.
func (c *Cache) send(ctx context.Context, ops []Op, replies []Reply) {
	sent := clock.Now()
	c.remote.Do(ctx, ops, replies)
	took := elapsed(sent)
	var all, good [meteredOps]uint64
	for i := range ops {
		kind := ops[i].Kind
		if int(kind) >= meteredOps || opNames[kind] == "" {
			kind = opOther
		}
		all[kind]++
		if err := replies[i].Err; err != nil {
			c.meter.count(kind, err)
		} else {
			good[kind]++
		}
	}
	for kind := range all {
		if good[kind] > 0 {
			c.meter[kind].ended[callOK].Add(good[kind])
		}
		if all[kind] > 0 {
			c.meter[kind].took.ObserveN(took, all[kind])
		}
	}
}

// fetch reads one key as [Remote.Get] does, and counts it.
func (c *Cache) fetch(ctx context.Context, key string) Reply {
	sent := clock.Now()
	reply := c.remote.Get(ctx, key)
	c.meter.call(OpGet, reply.Err, sent)
	return reply
}

// RemoteStats counts the operations of one kind that were sent to the remote
// tier, or were meant to be.
type RemoteStats struct {
	OK          uint64 // answered, whatever the answer was
	Timeouts    uint64 // not answered in time; the outcome is unknown
	Unavailable uint64 // not sent: there was no usable connection
	Canceled    uint64 // given up because the caller's context ended
	Errors      uint64 // failed otherwise
	// Time is how long they took. An operation of a pipeline takes as long as
	// the pipeline.
	Time Distribution
}

// Calls is the number of operations.
func (s *RemoteStats) Calls() uint64 {
	return s.OK + s.Timeouts + s.Unavailable + s.Canceled + s.Errors
}

// snapshot returns what was counted, by the name of the operation, without
// those that never were.
func (m *remoteMeter) snapshot() map[string]RemoteStats {
	all := make(map[string]RemoteStats)
	for kind, name := range opNames {
		o := &m[kind]
		s := RemoteStats{OK: o.ended[callOK].Load(), Timeouts: o.ended[callTimeout].Load(),
			Unavailable: o.ended[callUnavailable].Load(), Canceled: o.ended[callCanceled].Load(), Errors: o.ended[callError].Load()}
		if name != "" && s.Calls() > 0 {
			s.Time = readHistogram(&o.took)
			all[name] = s
		}
	}
	return all
}
