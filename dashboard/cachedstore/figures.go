package cachedstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
)

// figure names a figure of the dashboard; its keys begin with dashboard:{figure}.
type figure string

const (
	figureStats       figure = "stats"
	figureTrends      figure = "trends"
	figureRecent      figure = "recent"
	figureTypes       figure = "test_types_distribution"
	figurePerformance figure = "performance_metrics"
	figureHealth      figure = "health"
	figureFlaky       figure = "flaky"
	figureSlowest     figure = "slowest"
	figureTopErrors   figure = "top_errors"
)

// figureKey is a figure with its parameters, of which each uses some:
// dashboard:stats, dashboard:trends:days:{n}, dashboard:recent:limit:{n}.
type figureKey struct {
	figure figure
	days   int
	limit  int
	zone   string // empty for UTC
	branch string
}

func (k figureKey) append(dst []byte) []byte {
	dst = append(dst, k.figure...)
	dst = number(dst, "days", int64(k.days))
	dst = number(dst, "limit", int64(k.limit))
	dst = field(dst, "zone", k.zone)
	return field(dst, "branch", k.branch)
}

// figures holds the one that its key names.
type figures struct {
	Stats       *dashboard.Stats              `json:"stats,omitempty"`
	Trends      *[]dashboard.TrendDay         `json:"trends,omitempty"`
	Recent      *[]dashboard.Execution        `json:"recent,omitempty"`
	Types       *[]dashboard.TypeShare        `json:"test_types,omitempty"`
	Performance *dashboard.PerformanceMetrics `json:"performance,omitempty"`
	Health      *[]dashboard.SuiteHealth      `json:"health,omitempty"`
	Flaky       *[]dashboard.FlakyCase        `json:"flaky,omitempty"`
	Slowest     *[]dashboard.SlowCase         `json:"slowest,omitempty"`
	TopErrors   *[]dashboard.TopError         `json:"top_errors,omitempty"`
}

// figureSpec is what a figure depends on, how long it is fresh, and its load.
type figureSpec struct {
	tags []string
	ttl  time.Duration
	load func(context.Context, figureKey, *figures) error
}

// loaded returns a load that puts what read brings into one field.
func loaded[V any](read func(context.Context, figureKey) (V, error), into func(*figures) **V) func(context.Context, figureKey, *figures) error {
	return func(ctx context.Context, k figureKey, out *figures) error {
		v, err := read(ctx, k)
		*into(out) = &v
		return err
	}
}

// figureSpecs are all figures. Flaky, slowest and top errors show names of cases and
// suites beside outcomes.
func (s *Store) figureSpecs() map[figure]figureSpec {
	short, medium := s.options.ShortTTL, s.options.MediumTTL
	outcomes := []string{tagOutcomes, tagCases, tagSuiteNames}
	return map[figure]figureSpec{
		figureStats: {[]string{tagStats}, short, loaded(func(ctx context.Context, _ figureKey) (dashboard.Stats, error) { return s.inner.Stats(ctx) },
			func(f *figures) **dashboard.Stats { return &f.Stats })},
		figureTrends: {[]string{tagTrends}, short, loaded(s.loadTrends, func(f *figures) **[]dashboard.TrendDay { return &f.Trends })},
		figureRecent: {[]string{tagRecent}, short, loaded(func(ctx context.Context, k figureKey) ([]dashboard.Execution, error) {
			return s.inner.Recent(ctx, k.limit)
		},
			func(f *figures) **[]dashboard.Execution { return &f.Recent })},
		figureTypes: {[]string{tagTypes}, medium, loaded(func(ctx context.Context, _ figureKey) ([]dashboard.TypeShare, error) { return s.inner.TestTypes(ctx) },
			func(f *figures) **[]dashboard.TypeShare { return &f.Types })},
		figurePerformance: {[]string{tagPerformance}, short, loaded(func(ctx context.Context, _ figureKey) (dashboard.PerformanceMetrics, error) {
			return s.inner.Performance(ctx)
		},
			func(f *figures) **dashboard.PerformanceMetrics { return &f.Performance })},
		figureHealth: {[]string{tagHealth}, short, loaded(func(ctx context.Context, k figureKey) ([]dashboard.SuiteHealth, error) {
			return s.inner.Health(ctx, k.branch)
		},
			func(f *figures) **[]dashboard.SuiteHealth { return &f.Health })},
		figureFlaky: {outcomes, medium, loaded(func(ctx context.Context, k figureKey) ([]dashboard.FlakyCase, error) {
			return s.inner.Flaky(ctx, k.limit)
		},
			func(f *figures) **[]dashboard.FlakyCase { return &f.Flaky })},
		figureSlowest: {outcomes, medium, loaded(func(ctx context.Context, k figureKey) ([]dashboard.SlowCase, error) {
			return s.inner.Slowest(ctx, k.limit)
		},
			func(f *figures) **[]dashboard.SlowCase { return &f.Slowest })},
		figureTopErrors: {outcomes, medium, loaded(func(ctx context.Context, k figureKey) ([]dashboard.TopError, error) {
			return s.inner.TopErrors(ctx, k.limit)
		},
			func(f *figures) **[]dashboard.TopError { return &f.TopErrors })},
	}
}

func (s *Store) loadTrends(ctx context.Context, k figureKey) ([]dashboard.TrendDay, error) {
	zone, err := time.LoadLocation(k.zone)
	if err != nil {
		return nil, err
	}
	return s.inner.Trends(ctx, k.days, zone)
}

// declareFigures declares one keyspace for all figures: what stands before the
// first colon of a key is the name of its keyspace.
func (s *Store) declareFigures() error {
	specs := s.figureSpecs()
	var err error
	s.spaces.figures, err = declareRead(s, "dashboard", larder.KeyspaceOptions[figureKey, figures]{
		TTL:       s.options.ShortTTL,
		AppendKey: func(dst []byte, k figureKey) []byte { return k.append(dst) },
		Tags:      func(k figureKey) []string { return specs[k.figure].tags },
	}, func(ctx context.Context, k figureKey) (out figures, err error) {
		spec, ok := specs[k.figure]
		if !ok {
			return out, fmt.Errorf("no figure %q", k.figure)
		}
		larder.LoadFrom(ctx).TTL(spec.ttl)
		return out, spec.load(ctx, k, &out)
	})
	s.spaces.figures.label = func(k figureKey) string { return "dashboard:" + string(k.figure) }
	return err
}

// figureOf returns one field of a figure. An entry without it was written by
// another version of this program and is passed over.
func figureOf[V any](ctx context.Context, s *Store, k figureKey, field func(*figures) *V) (V, error) {
	v, err := s.spaces.figures.get(ctx, k)
	if err == nil && field(&v) == nil {
		v, err = s.spaces.figures.load(ctx, k)
	}
	if p := field(&v); err == nil && p != nil {
		return *p, nil
	}
	var none V
	return none, err
}

// Stats implements [dashboard.Figures].
func (s *Store) Stats(ctx context.Context) (dashboard.Stats, error) {
	return figureOf(ctx, s, figureKey{figure: figureStats}, func(f *figures) *dashboard.Stats { return f.Stats })
}

// Trends implements [dashboard.Figures].
func (s *Store) Trends(ctx context.Context, days int, loc *time.Location) ([]dashboard.TrendDay, error) {
	zone := ""
	if loc != nil && loc != time.UTC {
		zone = loc.String()
	}
	if days < 1 || days > dashboard.MaxTrendDays || !s.spaces.zones.known(zone) {
		return s.inner.Trends(ctx, days, loc)
	}
	return figureOf(ctx, s, figureKey{figure: figureTrends, days: days, zone: zone}, func(f *figures) *[]dashboard.TrendDay { return f.Trends })
}

// TestTypes implements [dashboard.Figures].
func (s *Store) TestTypes(ctx context.Context) ([]dashboard.TypeShare, error) {
	return figureOf(ctx, s, figureKey{figure: figureTypes}, func(f *figures) *[]dashboard.TypeShare { return f.Types })
}

// Performance implements [dashboard.Figures].
func (s *Store) Performance(ctx context.Context) (dashboard.PerformanceMetrics, error) {
	return figureOf(ctx, s, figureKey{figure: figurePerformance}, func(f *figures) *dashboard.PerformanceMetrics { return f.Performance })
}

// Health implements [dashboard.Figures].
func (s *Store) Health(ctx context.Context, branch string) ([]dashboard.SuiteHealth, error) {
	return figureOf(ctx, s, figureKey{figure: figureHealth, branch: branch}, func(f *figures) *[]dashboard.SuiteHealth { return f.Health })
}

// Recent implements [dashboard.Figures].
func (s *Store) Recent(ctx context.Context, limit int) ([]dashboard.Execution, error) {
	return limited(ctx, s, figureRecent, limit, dashboard.MaxLimit, func(f *figures) *[]dashboard.Execution { return f.Recent })
}

// Flaky implements [dashboard.Insights].
func (s *Store) Flaky(ctx context.Context, limit int) ([]dashboard.FlakyCase, error) {
	return limited(ctx, s, figureFlaky, limit, dashboard.MaxInsights, func(f *figures) *[]dashboard.FlakyCase { return f.Flaky })
}

// Slowest implements [dashboard.Insights].
func (s *Store) Slowest(ctx context.Context, limit int) ([]dashboard.SlowCase, error) {
	return limited(ctx, s, figureSlowest, limit, dashboard.MaxInsights, func(f *figures) *[]dashboard.SlowCase { return f.Slowest })
}

// TopErrors implements [dashboard.Insights].
func (s *Store) TopErrors(ctx context.Context, limit int) ([]dashboard.TopError, error) {
	return limited(ctx, s, figureTopErrors, limit, dashboard.MaxInsights, func(f *figures) *[]dashboard.TopError { return f.TopErrors })
}

// limited returns a figure whose only parameter is a number of items.
func limited[V any](ctx context.Context, s *Store, name figure, limit, most int, field func(*figures) *[]V) ([]V, error) {
	if err := within(limit, most); err != nil {
		return nil, err
	}
	return figureOf(ctx, s, figureKey{figure: name, limit: limit}, field)
}

func within(limit, most int) error {
	if limit < 1 || limit > most {
		return dashboard.Invalid("limit", "must be between 1 and "+strconv.Itoa(most))
	}
	return nil
}
