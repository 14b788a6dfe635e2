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
	callTimeout callOutcome = iota
	callUnavailable
	callCanceled
	callError
	callOutcomes // what went well is the rest of the calls
)

func outcomeOf(err error) callOutcome {
	switch {
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
	took   histogram.Histogram // of all calls; counted before failed, read after it
	failed [callOutcomes]atomic.Uint64
}

// call counts a call that is no pipeline and took so many nanoseconds.
func (m *remoteMeter) call(kind OpKind, err error, took uint64) {
	o := &m[kind]
	o.took.Observe(took)
	if err != nil {
		o.failed[outcomeOf(err)].Add(1)
	}
}

// elapsed returns the nanoseconds since the monotonic time sent.
func elapsed(sent int64) uint64 { return uint64(max(clock.Now()-sent, 0)) }

// send carries out ops as [Remote.Do] does, and counts them.
func (c *Cache) send(ctx context.Context, ops []Op, replies []Reply) {
	sent := clock.Now()
	c.remote.Do(ctx, ops, replies)
	took := elapsed(sent)
	var n [meteredOps]uint64
	for i := range ops {
		n[metered(ops[i].Kind)]++
	}
	for kind := range n {
		if n[kind] > 0 {
			c.meter[kind].took.ObserveN(took, n[kind])
		}
	}
	for i := range ops {
		if err := replies[i].Err; err != nil {
			c.meter[metered(ops[i].Kind)].failed[outcomeOf(err)].Add(1)
		}
	}
}

// metered returns under what an operation is counted.
func metered(kind OpKind) OpKind {
	if int(kind) >= meteredOps || opNames[kind] == "" {
		return opOther
	}
	return kind
}

// fetch reads one key as [Remote.Get] does, counts it as a call that began at
// sent, and returns when it ended.
func (c *Cache) fetch(ctx context.Context, key string, sent int64) (reply Reply, ended int64) {
	reply = c.remote.Get(ctx, key)
	ended = clock.Now()
	c.meter.call(OpGet, reply.Err, uint64(max(ended-sent, 0)))
	return reply, ended
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
		if name == "" {
			continue
		}
		s := RemoteStats{Timeouts: o.failed[callTimeout].Load(), Unavailable: o.failed[callUnavailable].Load(),
			Canceled: o.failed[callCanceled].Load(), Errors: o.failed[callError].Load()}
		s.Time = readHistogram(&o.took)
		if calls := s.Time.Count(); calls > 0 {
			s.OK = calls - s.Calls()
			all[name] = s
		}
	}
	return all
}
