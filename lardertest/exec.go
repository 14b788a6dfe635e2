package lardertest

import (
	"strings"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// execute carries out op for a connection. The caller holds s.mu.
//
// An operation that leaves a key behind ends by registering its connection, as
// the trailing read of a script does; one that deletes registers nothing.
func (s *Server) execute(c *conn, op *larder.Op) larder.Reply {
	s.counts[op.Kind]++
	it := s.lookup(op.Key, c)
	switch op.Kind {
	case larder.OpSet, larder.OpDelete:
		return s.overwrite(c, op, it)
	case larder.OpHold, larder.OpUnhold:
		return s.hold(c, op, it)
	case larder.OpBirths, larder.OpTagsSince:
		return s.readLog(c, op)
	case larder.OpRank, larder.OpRanks:
		return s.ranking(c, op, it)
	}
	s.watch(op.Key, c)
	if it != nil && it.other {
		return larder.Reply{Err: larder.ErrWrongType}
	}
	if op.Kind == larder.OpGet || op.Kind == larder.OpInspect {
		return read(op, it)
	}
	if s.readOnly {
		return larder.Reply{Err: ErrReadOnly}
	}
	switch op.Kind {
	case larder.OpAcquire:
		return s.acquire(c, op, it)
	case larder.OpLock:
		return s.lock(c, op, it)
	case larder.OpTakeover:
		return s.replaceIf(c, op, it, startsWith(it, op.Expect), larder.Acquired)
	case larder.OpRefill:
		return s.replaceIf(c, op, it, startsWith(it, op.Expect), larder.Done)
	case larder.OpFill:
		return s.replaceIf(c, op, it, s.careless || isLease(it, op.Token), larder.Done)
	case larder.OpRelease, larder.OpRenew:
		return s.touch(c, op, it)
	case larder.OpSetNewer:
		return s.setNewer(c, op, it)
	case larder.OpExpire:
		return s.expire(c, op, it)
	case larder.OpGeneration:
		return s.generation(c, op, it)
	}
	panic("lardertest: unknown operation")
}

func read(op *larder.Op, it *item) larder.Reply {
	if it == nil {
		return larder.Reply{State: larder.Absent}
	}
	r := larder.Reply{State: larder.Present, Data: it.data}
	if op.Kind == larder.OpInspect {
		r.TTL = it.ttl()
	}
	return r
}

func (s *Server) overwrite(c *conn, op *larder.Op, it *item) larder.Reply {
	switch {
	case s.readOnly:
		return larder.Reply{Err: ErrReadOnly}
	case op.KeepHold && isHold(it):
		s.watch(op.Key, c)
		return larder.Reply{State: larder.Held}
	}
	if op.Kind == larder.OpSet {
		s.put(op.Key, string(op.Value), op.TTL, c)
		s.watch(op.Key, c)
		return larder.Reply{State: larder.Done}
	}
	if s.remove(op.Key, c) {
		return larder.Reply{State: larder.Done}
	}
	return larder.Reply{State: larder.Absent}
}

func (s *Server) acquire(c *conn, op *larder.Op, it *item) larder.Reply {
	switch {
	case it == nil:
		s.put(op.Key, lease(op.Token), op.TTL, c)
		s.watch(op.Key, c)
		return larder.Reply{State: larder.Acquired}
	case isLease(it, op.Token):
		return larder.Reply{State: larder.Acquired}
	case frame.KindOf(it.data) == frame.Lease:
		return larder.Reply{State: larder.Busy, TTL: it.ttl()}
	case isHold(it):
		return larder.Reply{State: larder.Held}
	}
	return larder.Reply{State: larder.Present, Data: it.data}
}

// replaceIf makes K a lease or the value of op if ok holds.
func (s *Server) replaceIf(c *conn, op *larder.Op, it *item, ok bool, done larder.ReplyState) larder.Reply {
	if !ok || it == nil && !s.careless {
		return larder.Reply{State: larder.Refused}
	}
	data := string(op.Value)
	if op.Kind == larder.OpTakeover {
		data = lease(op.Token)
	}
	s.put(op.Key, data, op.TTL, c)
	s.watch(op.Key, c)
	return larder.Reply{State: done}
}

// touch renews or releases a lease.
func (s *Server) touch(c *conn, op *larder.Op, it *item) larder.Reply {
	if !isLease(it, op.Token) {
		return larder.Reply{State: larder.Refused}
	}
	if op.Kind == larder.OpRelease {
		s.remove(op.Key, c)
		return larder.Reply{State: larder.Done}
	}
	s.expireIn(op.Key, it, op.TTL)
	s.notify(op.Key, c)
	s.watch(op.Key, c)
	return larder.Reply{State: larder.Done}
}

func (s *Server) generation(c *conn, op *larder.Op, it *item) larder.Reply {
	switch {
	case it == nil:
		s.put(op.Key, string(op.Value), op.TTL, c)
		s.watch(op.Key, c)
		s.born(c, op)
	case !it.expires.IsZero() && it.ttl() < op.TTL/2:
		s.expireIn(op.Key, it, op.TTL)
		s.notify(op.Key, c)
		s.watch(op.Key, c)
	}
	return larder.Reply{State: larder.Present, Data: s.data[op.Key].data}
}

// beat writes the heartbeat key of a remote and reads the clock.
func (s *Server) beat(c *conn, key string) (time.Time, error) {
	if s.readOnly {
		return time.Time{}, ErrReadOnly
	}
	s.put(key, "", time.Minute, c)
	return s.now(), nil
}

func lease(t frame.Token) string { return string(frame.AppendLease(nil, t)) }

func isLease(it *item, t frame.Token) bool { return it != nil && it.data == lease(t) }

func startsWith(it *item, expect string) bool {
	return it != nil && strings.HasPrefix(it.data, expect)
}
