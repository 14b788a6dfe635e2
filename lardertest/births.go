package lardertest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/larder-go/larder"
)

// The methods of this file are the log of births; their callers hold s.mu.

// birthsKept is how many births a log lists.
const birthsKept = 128

// A log is text: lines of an id and a tag key, the newest first. An id without
// a tag begins a log.

// born lists the birth of a generation in the log of its server.
func (s *Server) born(c *conn, op *larder.Op) {
	if key := c.link.remote.LogKey(op.Key); key != "" && !op.Unlisted {
		s.enlist(c, key, op.Key)
	}
}

func (s *Server) enlist(c *conn, log, tag string) {
	var lines []string
	if it := s.lookup(log, c); it != nil {
		lines = strings.Split(it.data, "\n")
	}
	s.births++
	lines = append([]string{"birth-" + strconv.Itoa(s.births) + " " + tag}, lines...)
	s.put(log, strings.Join(lines[:min(len(lines), birthsKept)], "\n"), 0, c)
	s.watch(log, c)
}

func (s *Server) readLog(c *conn, op *larder.Op) larder.Reply {
	it := s.lookup(op.Key, c)
	s.watch(op.Key, c)
	if it != nil && it.other {
		return larder.Reply{Err: larder.ErrWrongType}
	}
	if op.Kind == larder.OpTagsSince {
		return s.tagsSince(c, op, it)
	}
	if it == nil {
		return larder.Reply{State: larder.Absent}
	}
	id, _, _ := strings.Cut(it.data, " ")
	return larder.Reply{State: larder.Present, Data: id}
}

func (s *Server) tagsSince(c *conn, op *larder.Op, log *item) larder.Reply {
	switch {
	case log != nil:
	case s.readOnly:
		return larder.Reply{Err: ErrReadOnly}
	default:
		s.enlist(c, op.Key, "")
		return larder.Reply{State: larder.Refused}
	}
	var values strings.Builder
	complete := bornBefore(log.data, op.Expect, op.Keys)
	for _, key := range op.Keys {
		it := s.lookup(key, c)
		s.watch(key, c)
		switch {
		case it != nil && it.other:
			return larder.Reply{Err: larder.ErrWrongType}
		case it == nil || len(it.data) != 8:
			complete = false
		default:
			values.WriteString(it.data)
		}
	}
	if !complete {
		return larder.Reply{State: larder.Refused}
	}
	return larder.Reply{State: larder.Present, Data: values.String()}
}

// bornBefore reports whether log lists the birth id and none of keys after it.
func bornBefore(log, id string, keys []string) bool {
	for line := range strings.SplitSeq(log, "\n") {
		born, tag, _ := strings.Cut(line, " ")
		if born == id {
			return true
		}
		if slices.Contains(keys, tag) {
			return false
		}
	}
	return false
}
