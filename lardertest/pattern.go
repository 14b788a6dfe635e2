package lardertest

import (
	"context"
	"strings"

	"github.com/larder-go/larder"
)

// pageSize is how many keys DeleteMatching deletes at once.
const pageSize = 100

// DeleteMatching implements larder.Remote.
func (r *Remote) DeleteMatching(ctx context.Context, pattern string, removed func(keys []string)) (int, error) {
	total := 0
	for _, l := range r.links {
		for {
			keys, before, err := l.list(ctx, pattern)
			if err != nil {
				return total, err
			}
			n, err := r.deletePages(ctx, keys, removed)
			total += n
			if err != nil {
				return total, err
			}
			_, after, err := l.list(ctx, "")
			if err != nil {
				return total, err
			}
			if before == after {
				break
			}
		}
	}
	return total, nil
}

func (r *Remote) deletePages(ctx context.Context, keys []string, removed func(keys []string)) (int, error) {
	total := 0
	for len(keys) > 0 {
		page := keys[:min(pageSize, len(keys))]
		keys = keys[len(page):]
		n, err := r.deletePage(ctx, page)
		total += n
		if err != nil {
			return total, err
		}
		removed(page)
	}
	return total, nil
}

func (r *Remote) deletePage(ctx context.Context, page []string) (n int, err error) {
	ops := make([]larder.Op, len(page))
	for i, key := range page {
		ops[i] = larder.Op{Kind: larder.OpDelete, Key: key}
	}
	replies := make([]larder.Reply, len(ops))
	r.Do(ctx, ops, replies)
	for i := range replies {
		if replies[i].Err != nil {
			return n, replies[i].Err
		}
		if replies[i].State == larder.Done {
			n++
		}
	}
	return n, nil
}

// list asks the server for the keys of entries that match pattern and for the
// number of its life.
func (l *link) list(ctx context.Context, pattern string) (keys []string, life int64, err error) {
	r := &request{done: make(chan struct{}), list: &listing{prefix: l.remote.entryPrefix(), pattern: pattern}}
	if err := l.start(r); err != nil {
		return nil, 0, err
	}
	l.remote.trips.Add(1)
	if err := r.wait(ctx); err != nil {
		return nil, 0, err
	}
	return r.list.keys, r.list.life, nil
}

// listing is the request for matching keys and its answer.
type listing struct {
	prefix, pattern string
	keys            []string
	life            int64
}

// list fills in a listing. The caller holds s.mu.
func (s *Server) list(q *listing) {
	q.life = s.life
	for key := range s.data {
		name, ok := strings.CutPrefix(key, q.prefix)
		if ok && !strings.HasPrefix(key, controlPrefix) && glob(q.pattern, name) && s.lookup(key, nil) != nil {
			q.keys = append(q.keys, key)
		}
	}
}

// glob reports whether name matches pattern as Redis understands it: * ? [a-z]
// [^a] and \ before a literal byte.
func glob(pattern, name string) bool {
	for pattern != "" {
		if pattern[0] == '*' {
			return globStar(strings.TrimLeft(pattern, "*"), name)
		}
		if name == "" {
			return false
		}
		ok, rest := globByte(pattern, name[0])
		if !ok {
			return false
		}
		pattern, name = rest, name[1:]
	}
	return name == ""
}

func globStar(pattern, name string) bool {
	for i := range len(name) + 1 {
		if glob(pattern, name[i:]) {
			return true
		}
	}
	return false
}

// globByte matches c against the first element of pattern, which is no star,
// and returns what follows that.
func globByte(pattern string, c byte) (ok bool, rest string) {
	switch {
	case pattern[0] == '?':
		return true, pattern[1:]
	case pattern[0] == '[':
		return globClass(pattern[1:], c)
	case pattern[0] == '\\' && len(pattern) > 1:
		pattern = pattern[1:]
	}
	return pattern[0] == c, pattern[1:]
}

// globClass matches c against the class that pattern begins with, behind its
// opening bracket, and returns what follows it.
func globClass(pattern string, c byte) (ok bool, rest string) {
	pattern, not := strings.CutPrefix(pattern, "^")
	for pattern != "" && pattern[0] != ']' {
		lo, hi, n := pattern[0], pattern[0], 1
		switch {
		case lo == '\\' && len(pattern) > 1:
			lo, hi, n = pattern[1], pattern[1], 2
		case len(pattern) > 2 && pattern[1] == '-':
			lo, hi, n = min(lo, pattern[2]), max(lo, pattern[2]), 3
		}
		ok = ok || lo <= c && c <= hi
		pattern = pattern[n:]
	}
	return ok != not, strings.TrimPrefix(pattern, "]")
}
