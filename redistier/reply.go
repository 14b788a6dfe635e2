package redistier

import (
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// receive sets the replies of the ops that one command served.
func (c *conn) receive(ops []larder.Op, result *rueidis.RedisResult, replies []larder.Reply) {
	if len(ops) > 1 {
		c.receiveRun(ops[0].Kind, result, replies)
		return
	}
	if err := result.NonRedisError(); err != nil {
		fillError(replies, lost(err))
		return
	}
	message, err := result.ToMessage()
	if err != nil && !rueidis.IsRedisNil(err) {
		fillError(replies, c.refused(err))
		return
	}
	replies[0] = c.reply(ops[0].Kind, &message, err)
}

// receiveRun takes the reply for a run of ops of a kind apart.
func (c *conn) receiveRun(kind larder.OpKind, result *rueidis.RedisResult, replies []larder.Reply) {
	values, err := c.gotAll(result, len(replies))
	if err != nil {
		fillError(replies, err)
		return
	}
	for i := range values {
		err := values[i].Error()
		if kind == larder.OpGet {
			replies[i] = c.present(&values[i], err)
		} else if err != nil && !rueidis.IsRedisNil(err) {
			replies[i] = larder.Reply{Err: c.refused(err)}
		} else {
			replies[i] = c.reply(kind, &values[i], err)
		}
	}
}

// reply translates the message for one op; err is nil or Redis' nil.
func (c *conn) reply(kind larder.OpKind, message *rueidis.RedisMessage, err error) larder.Reply {
	switch kind {
	case larder.OpGet, larder.OpGeneration, larder.OpBirths:
		return c.present(message, err)
	case larder.OpTagsSince:
		r := c.present(message, err)
		if r.State == larder.Absent {
			r.State = larder.Refused
		}
		return r
	case larder.OpInspect:
		return inspected(message, err)
	case larder.OpLock:
		return locked(message)
	case larder.OpRanks:
		return ranked(message)
	case larder.OpAcquire:
		if message.IsString() {
			return c.present(message, err)
		}
	}
	n, err := message.ToInt64()
	if err != nil {
		return larder.Reply{Err: fmt.Errorf("redistier: unexpected reply: %w", err)}
	}
	return larder.Reply{State: stateOf(kind, n), TTL: leaseLeft(kind, n)}
}

// keptHold is what the scripts of KeepHold answer when they found a hold-off;
// DEL of one key answers at most 1.
const keptHold = 2

// stateOf translates the integer a script or DEL answered.
func stateOf(kind larder.OpKind, n int64) larder.ReplyState {
	switch {
	case kind == larder.OpAcquire && n == -1:
		return larder.Acquired
	case kind == larder.OpAcquire && n < 0, n == keptHold && (kind == larder.OpSet || kind == larder.OpDelete):
		return larder.Held
	case kind == larder.OpAcquire:
		return larder.Busy
	case kind == larder.OpDelete && n == 0:
		return larder.Absent
	case n == 0:
		return larder.Refused
	case kind == larder.OpTakeover:
		return larder.Acquired
	}
	return larder.Done
}

// leaseLeft is what another's lease has left.
func leaseLeft(kind larder.OpKind, n int64) time.Duration {
	if kind == larder.OpAcquire && n > 0 {
		return time.Duration(n) * time.Millisecond
	}
	return 0
}

// inspected is the reply for bytes and milliseconds.
func inspected(message *rueidis.RedisMessage, err error) larder.Reply {
	if err != nil {
		return larder.Reply{State: larder.Absent}
	}
	parts, err := message.ToArray()
	if err != nil || len(parts) != 2 {
		return larder.Reply{Err: fmt.Errorf("redistier: unexpected reply of %d parts: %w", len(parts), err)}
	}
	data, err := parts[0].ToString()
	if err != nil {
		return larder.Reply{Err: fmt.Errorf("redistier: unexpected reply: %w", err)}
	}
	left, err := parts[1].ToInt64()
	if err != nil {
		return larder.Reply{Err: fmt.Errorf("redistier: unexpected reply: %w", err)}
	}
	return larder.Reply{State: larder.Present, Data: data, TTL: time.Duration(left) * time.Millisecond}
}

// locked is the reply for the number of a lock, or how long it is taken.
func locked(message *rueidis.RedisMessage) larder.Reply {
	n, err := message.ToInt64()
	switch {
	case err != nil:
		return larder.Reply{Err: fmt.Errorf("redistier: unexpected reply: %w", err)}
	case n < 0:
		return larder.Reply{State: larder.Busy, TTL: time.Duration(-1-n) * time.Millisecond}
	}
	return larder.Reply{State: larder.Acquired, Data: strconv.FormatInt(n, 10)}
}

// ranked is the reply for names and counts.
func ranked(message *rueidis.RedisMessage) larder.Reply {
	counts, err := message.AsIntMap()
	switch {
	case err != nil:
		return larder.Reply{Err: fmt.Errorf("redistier: unexpected reply: %w", err)}
	case len(counts) == 0:
		return larder.Reply{State: larder.Absent}
	}
	ranks := make([]frame.Rank, 0, len(counts))
	for name, n := range counts {
		ranks = append(ranks, frame.Rank{Name: name, Count: uint64(max(n, 0))})
	}
	return larder.Reply{State: larder.Present, Data: string(frame.AppendRanks(nil, ranks))}
}
