package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder"
)

// batchTime bounds the invalidations of one batch.
const batchTime = 30 * time.Second

// outcome is what became of rows.
type outcome struct {
	done             []int64 // confirmed
	waiting, refused int64   // that stay because the cache failed, or because they name nothing
	err              error   // why the first of them stays
	stop             bool    // database or cache fail altogether
	broken           bool    // it is the database
}

// with returns the sum of two outcomes, without the rows that are done.
func (o outcome) with(more outcome) outcome {
	return outcome{
		waiting: o.waiting + more.waiting, refused: o.refused + more.refused,
		err: firstOf(o.err, more.err), stop: o.stop || more.stop, broken: o.broken || more.broken,
	}
}

// group is the rows of one target.
type group struct {
	target larder.Target
	rows   []int64
}

// carryOut invalidates what rows name: all at once, and each by itself if that
// fails for some of them.
func (b *Box) carryOut(ctx context.Context, rows []row) outcome {
	groups, out := groupsOf(rows)
	if len(groups) == 0 {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	targets := make([]larder.Target, len(groups))
	for i, g := range groups {
		targets[i] = g.target
	}
	err := b.cache.Invalidate(ctx, targets...)
	out.stop = err != nil && concernsAll(err, len(groups))
	if err == nil || out.stop || len(groups) == 1 {
		for _, g := range groups {
			out.add(g, err)
		}
		return out
	}
	for _, g := range groups {
		out.add(g, b.cache.Invalidate(ctx, g.target))
	}
	out.stop = ctx.Err() != nil
	return out
}

// add notes the outcome of one target.
func (o *outcome) add(g group, err error) {
	o.err = firstOf(o.err, err)
	switch {
	case err == nil:
		o.done = append(o.done, g.rows...)
	case errors.Is(err, larder.ErrInvalidKey):
		o.refused += int64(len(g.rows))
	default:
		o.waiting += int64(len(g.rows))
	}
}

// concernsAll reports whether an error leaves none of n targets confirmed.
func concernsAll(err error, n int) bool {
	if errors.Is(err, larder.ErrInvalidKey) { // nothing was done because of one of them
		return false
	}
	if p, ok := errors.AsType[*larder.PendingError](err); ok {
		return len(p.Keys) >= n
	}
	return true
}

// groupsOf gathers rows by target, and notes those that name none.
func groupsOf(rows []row) (groups []group, out outcome) {
	at := make(map[string]int, len(rows))
	for _, r := range rows {
		if i, ok := at[r.text]; ok {
			groups[i].rows = append(groups[i].rows, r.id)
			continue
		}
		target, err := parse(r.text)
		if err != nil {
			out.add(group{rows: []int64{r.id}}, fmt.Errorf("outbox: row %d: %w", r.id, err))
			continue
		}
		at[r.text] = len(groups)
		groups = append(groups, group{target, []int64{r.id}})
	}
	return groups, out
}

func parse(stored string) (larder.Target, error) {
	text, err := decode(stored)
	if err != nil {
		return larder.Target{}, fmt.Errorf("%w: %q: %w", larder.ErrInvalidKey, stored, err)
	}
	return larder.ParseTarget(text)
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// report makes the outcome of a sweep known. One that has not seen the whole
// table says only what fails.
func (b *Box) report(ctx context.Context, total outcome, whole bool) {
	b.counts.waiting.Store(total.waiting)
	if total.waiting > 0 {
		b.state.note(ctx, cache, total.err)
	}
	if !whole {
		return
	}
	if total.waiting == 0 {
		b.state.note(ctx, cache, nil)
	}
	b.counts.refused.Store(total.refused)
	var unknown error
	if total.refused > 0 {
		unknown = fmt.Errorf("%d rows stay, the first failure: %w", total.refused, total.err)
	}
	b.state.note(ctx, content, unknown)
}
