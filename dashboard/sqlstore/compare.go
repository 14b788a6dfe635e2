package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/larder-go/larder/dashboard"
)

// Compare implements [dashboard.Insights].
func (s *Store) Compare(ctx context.Context, base, head int64) (dashboard.Comparison, error) {
	var out dashboard.Comparison
	var err error
	if out.Base, err = s.Execution(ctx, base); err != nil {
		return dashboard.Comparison{}, err
	}
	if out.Head, err = s.Execution(ctx, head); err != nil {
		return dashboard.Comparison{}, err
	}
	if out.Base.SuiteID != out.Head.SuiteID {
		return dashboard.Comparison{}, dashboard.Invalid("head", "must be an execution of the same suite as base")
	}
	before, err := s.sides(ctx, base)
	if err != nil {
		return dashboard.Comparison{}, err
	}
	after, err := s.sides(ctx, head)
	if err != nil {
		return dashboard.Comparison{}, err
	}
	sort(&out, before, after)
	return out, s.describeDeltas(ctx, &out)
}

// sides returns the results of an execution that have ended, by case.
func (s *Store) sides(ctx context.Context, execution int64) (map[int64]*dashboard.Side, error) {
	out := make(map[int64]*dashboard.Side)
	err := s.reader().each(ctx, func(row scanner) error {
		var (
			id   int64
			side dashboard.Side
		)
		err := row.Scan(&id, &side.Status, &side.DurationMS, &side.Flaky)
		out[id] = &side
		return err
	}, "SELECT case_id, status, duration, flaky FROM results WHERE execution_id = ? AND rank NOT IN (2, 3)", execution)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	return out, nil
}

// sort puts every case into the lists where it belongs.
func sort(out *dashboard.Comparison, before, after map[int64]*dashboard.Side) {
	out.NewFailures, out.StillFailing, out.Fixed, out.Slower = []dashboard.Delta{}, []dashboard.Delta{}, []dashboard.Delta{}, []dashboard.Delta{}
	out.Added, out.Removed, out.NewlySkipped = []dashboard.Delta{}, []dashboard.Delta{}, []dashboard.Delta{}
	for id, head := range after {
		d := dashboard.Delta{CaseID: id, Base: before[id], Head: head}
		if d.Base != nil && d.Base.DurationMS > 0 {
			d.Ratio = ratio(head.DurationMS, d.Base.DurationMS)
		}
		place(out, d)
	}
	for id, base := range before {
		if after[id] == nil {
			out.Removed = append(out.Removed, dashboard.Delta{CaseID: id, Base: base})
		}
	}
	byCase := func(a, b dashboard.Delta) int { return cmp.Compare(a.CaseID, b.CaseID) }
	for _, l := range lists(out) {
		slices.SortFunc(*l.deltas, byCase)
	}
	slices.SortStableFunc(out.Slower, func(a, b dashboard.Delta) int { return cmp.Compare(b.Ratio, a.Ratio) })
	for _, l := range lists(out) {
		*l.count = len(*l.deltas)
		*l.deltas = (*l.deltas)[:min(len(*l.deltas), dashboard.MaxDeltas)]
	}
}

type deltaList struct {
	deltas *[]dashboard.Delta
	count  *int
}

func lists(c *dashboard.Comparison) []deltaList {
	return []deltaList{
		{&c.NewFailures, &c.Counts.NewFailures}, {&c.StillFailing, &c.Counts.StillFailing}, {&c.Fixed, &c.Counts.Fixed}, {&c.Slower, &c.Counts.Slower},
		{&c.Added, &c.Counts.Added}, {&c.Removed, &c.Counts.Removed}, {&c.NewlySkipped, &c.Counts.NewlySkipped},
	}
}

func place(out *dashboard.Comparison, d dashboard.Delta) {
	bad := func(s *dashboard.Side) bool {
		return s != nil && (s.Status == dashboard.StatusFailed || s.Status == dashboard.StatusError)
	}
	passed := func(s *dashboard.Side) bool { return s != nil && s.Status == dashboard.StatusPassed }
	if d.Base == nil {
		out.Added = append(out.Added, d)
	}
	switch {
	case bad(d.Head) && bad(d.Base):
		out.StillFailing = append(out.StillFailing, d)
	case bad(d.Head):
		out.NewFailures = append(out.NewFailures, d)
	case passed(d.Head) && bad(d.Base):
		out.Fixed = append(out.Fixed, d)
	case passed(d.Head) && passed(d.Base) && d.Ratio >= dashboard.SlowerRatio && d.Head.DurationMS-d.Base.DurationMS >= dashboard.SlowerByMS:
		out.Slower = append(out.Slower, d)
	case d.Base != nil && d.Head.Status == dashboard.StatusSkipped && d.Base.Status != dashboard.StatusSkipped:
		out.NewlySkipped = append(out.NewlySkipped, d)
	}
}

// describeDeltas fills in the names of cases and the messages of head.
func (s *Store) describeDeltas(ctx context.Context, c *dashboard.Comparison) error {
	byCase := make(map[int64][]*dashboard.Delta)
	var ids []int64
	for _, l := range lists(c) {
		for i := range *l.deltas {
			d := &(*l.deltas)[i]
			if byCase[d.CaseID] == nil {
				ids = append(ids, d.CaseID)
			}
			byCase[d.CaseID] = append(byCase[d.CaseID], d)
		}
	}
	for part := range slices.Chunk(ids, chunk) {
		args := []any{c.Head.ID}
		for _, id := range part {
			args = append(args, id)
		}
		err := s.reader().each(ctx, func(row scanner) error {
			var (
				id            int64
				name, message string
			)
			if err := row.Scan(&id, &name, &message); err != nil {
				return err
			}
			for _, d := range byCase[id] {
				if d.CaseName = name; d.Head != nil {
					d.Head.Message = dashboard.FirstLine(message)
				}
			}
			return nil
		}, `SELECT c.id, c.name, COALESCE(r.message, '') FROM cases c LEFT JOIN results r ON r.case_id = c.id AND r.execution_id = ?
			WHERE c.id IN `+rowsOf(1, len(part)), args...)
		if err != nil {
			return fmt.Errorf("describe cases: %w", err)
		}
	}
	return nil
}
