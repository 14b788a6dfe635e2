package lardertest

import (
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// The methods of this file carry out the operations of hold-offs and source
// versions; their callers hold s.mu.

func isHold(it *item) bool {
	return it != nil && !it.other && frame.KindOf(it.data) == frame.Hold
}

// hold adds or removes the part of one holder, dropping what has expired.
func (s *Server) hold(c *conn, op *larder.Op, it *item) larder.Reply {
	if s.readOnly {
		return larder.Reply{Err: ErrReadOnly}
	}
	now := s.now().UnixMilli()
	var holders []frame.Holder
	if isHold(it) {
		all, _ := frame.ParseHold(it.data) // a corrupt one has no holders
		for _, h := range all {
			if h.Until > now && h.Token != op.Token {
				holders = append(holders, h)
			}
		}
	}
	if op.Kind == larder.OpHold {
		holders = append(holders, frame.Holder{Token: op.Token, Until: now + op.TTL.Milliseconds()})
	}
	if len(holders) == 0 {
		s.remove(op.Key, c)
		return larder.Reply{State: larder.Done}
	}
	longest := now
	for _, h := range holders {
		longest = max(longest, h.Until)
	}
	s.put(op.Key, string(frame.AppendHold(nil, holders)), time.Duration(longest-now)*time.Millisecond, c)
	s.watch(op.Key, c)
	return larder.Reply{State: larder.Done}
}

// setNewer replaces an older value, keeping what it depends on.
func (s *Server) setNewer(c *conn, op *larder.Op, it *item) larder.Reply {
	if it == nil || isHold(it) {
		return larder.Reply{State: larder.Refused}
	}
	var old, next frame.Entry
	known := frame.KindOf(it.data) == frame.Value && frame.Parse(it.data, &old) == nil
	if !known || old.Version == 0 {
		s.remove(op.Key, c)
		return larder.Reply{State: larder.Done}
	}
	if old.Version >= op.Version {
		return larder.Reply{State: larder.Refused}
	}
	if err := frame.Parse(string(op.Value), &next); err != nil {
		return larder.Reply{Err: err}
	}
	next.Namespace, next.Pairs = old.Namespace, old.Pairs
	data, err := frame.Append(nil, &next)
	if err != nil {
		return larder.Reply{Err: err}
	}
	s.put(op.Key, string(data), op.TTL, c)
	s.watch(op.Key, c)
	return larder.Reply{State: larder.Done}
}
