package larderotel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/telemetry/larderotel"
)

// traced is a keyspace whose spans are exported to memory.
type traced struct {
	cache    *larder.Cache
	space    *larder.Keyspace[string, string]
	provider *sdktrace.TracerProvider
	exporter *tracetest.InMemoryExporter
}

func newTraced(t *testing.T) *traced {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	cache, err := larder.NewWithRemote(t.Context(), lardertest.NewServer().Node(), larder.Options{Tracer: larderotel.Tracer(provider)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close() })
	space, err := larder.NewKeyspace(cache, "space", larder.KeyspaceOptions[string, string]{Tags: func(key string) []string { return []string{"tag-" + key} }})
	if err != nil {
		t.Fatal(err)
	}
	return &traced{cache, space, provider, exporter}
}

// named returns the exported span of a name, which must be one.
func (f *traced) named(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	var found []tracetest.SpanStub
	for _, s := range f.exporter.GetSpans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans are called %s", len(found), name)
	}
	return found[0]
}

// A request's trace contains the read, the load and the fill, and what the
// loader does at the source; a hit in memory adds nothing.
func TestSpansOfARequest(t *testing.T) {
	f := newTraced(t)
	tracer := f.provider.Tracer("app")
	ctx, request := tracer.Start(t.Context(), "request")
	load := func(ctx context.Context, key string) (string, error) {
		_, query := tracer.Start(ctx, "query")
		defer query.End()
		return "v", nil
	}
	for range 3 {
		if _, err := f.space.Get(ctx, "k", load); err != nil {
			t.Fatal(err)
		}
	}
	request.End()
	parents := map[string]string{"query": "larder.load", "larder.load": "larder.get", "larder.fill": "larder.get", "larder.get": "request"}
	for name, parent := range parents {
		if child, of := f.named(t, name), f.named(t, parent); child.Parent.SpanID() != of.SpanContext.SpanID() || child.SpanContext.TraceID() != of.SpanContext.TraceID() {
			t.Errorf("%s is not within %s", name, parent)
		}
	}
	if n := len(f.exporter.GetSpans()); n != 5 {
		t.Errorf("%d spans", n)
	}
	get := f.named(t, "larder.get")
	want := []attribute.KeyValue{attribute.Int("larder.count", 1), attribute.String("larder.keyspace", "space"), attribute.String("larder.outcome", "ok")}
	if !slices.Equal(get.Attributes, want) || get.Status.Code != codes.Unset || get.SpanKind != trace.SpanKindInternal {
		t.Errorf("get has %v, status %v, kind %v", get.Attributes, get.Status, get.SpanKind)
	}
}

// Whatever happens, no span says a key, a tag, a value, the name of a lock or
// what an error says.
func TestSpansCarryNoKeysAndNoValues(t *testing.T) {
	const secret = "s3cr3t"
	f := newTraced(t)
	ctx := t.Context()
	works := func(context.Context, string) (string, error) { return secret, nil }
	fails := func(context.Context, string) (string, error) { return "", errors.New("row " + secret) }
	_, _ = f.space.Get(ctx, secret, works)
	_, err := f.space.Get(ctx, secret+"2", fails)
	if err == nil {
		t.Fatal("the load did not fail")
	}
	_, _ = f.space.GetMany(ctx, []string{secret + "3", secret + "4"}, func(context.Context, []string) (map[string]string, error) { return nil, errors.New(secret) })
	_, _ = f.space.Lookup(ctx, secret+"5")
	_ = f.space.Set(ctx, secret, secret)
	_ = f.cache.Invalidate(ctx, f.space.Key(secret), larder.Tag("tag-"+secret))
	_, _ = f.cache.DeletePattern(ctx, "space:"+secret+"*")
	l, err := f.cache.Lock(ctx, secret, larder.LockOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.cache.Lock(ctx, secret, larder.LockOptions{Wait: -1})
	_ = l.Unlock()
	kinds := map[string]bool{}
	for _, s := range f.exporter.GetSpans() {
		kinds[s.Name] = true
		if all := fmt.Sprintf("%+v", s); strings.Contains(all, secret) {
			t.Errorf("a span of %s says the secret: %s", s.Name, all)
		}
	}
	for _, want := range []string{"get", "load", "fill", "set", "invalidate", "lock"} {
		if !kinds["larder."+want] {
			t.Errorf("no span of %s", want)
		}
	}
}

// What went wrong has the status Error, what is merely absent has not.
func TestSpansOfFailuresHaveTheirStatus(t *testing.T) {
	for _, c := range []struct {
		err     error
		outcome string
		status  codes.Code
	}{
		{nil, "ok", codes.Unset},
		{larder.ErrNotFound, "not_found", codes.Unset},
		{errors.New("down"), "error", codes.Error},
		{context.DeadlineExceeded, "timeout", codes.Error},
	} {
		f := newTraced(t)
		_, _ = f.space.Get(t.Context(), "k", func(context.Context, string) (string, error) { return "", c.err })
		load := f.named(t, "larder.load")
		if !slices.Contains(load.Attributes, attribute.String("larder.outcome", c.outcome)) || load.Status.Code != c.status {
			t.Errorf("after %v: %v, status %v", c.err, load.Attributes, load.Status)
		}
	}
}
