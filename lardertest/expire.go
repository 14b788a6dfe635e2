package lardertest

import (
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// expire makes a value stale under another id.
func (s *Server) expire(c *conn, op *larder.Op, it *item) larder.Reply {
	if it == nil {
		return larder.Reply{State: larder.Refused}
	}
	switch frame.KindOf(it.data) {
	case frame.Lease:
		s.remove(op.Key, c)
		return larder.Reply{State: larder.Done}
	case frame.Value:
	default:
		return larder.Reply{State: larder.Refused}
	}
	var e frame.Entry
	now := s.now().UnixMilli()
	if err := frame.Parse(it.data, &e); err != nil || e.Hard <= now && e.Soft == e.Hard {
		s.remove(op.Key, c)
		return larder.Reply{State: larder.Done}
	}
	e.ID, e.Soft = op.Token.ID(), min(e.Soft, now)
	data, err := frame.Append(nil, &e)
	if err != nil {
		panic("lardertest: a parsed value cannot be encoded: " + err.Error())
	}
	s.put(op.Key, string(data), max(time.Until(it.expires), 0), c)
	s.watch(op.Key, c)
	return larder.Reply{State: larder.Done}
}
