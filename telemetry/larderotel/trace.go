package larderotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/larder-go/larder"
)

// scopeName is that of the metrics and spans of this package.
const scopeName = "github.com/larder-go/larder/telemetry/larderotel"

// The attributes of spans.
const (
	attrKeyspace = attribute.Key("larder.keyspace") // static name, if the work is of one keyspace
	attrCount    = attribute.Key("larder.count")    // of keys or targets
	attrOutcome  = attribute.Key("larder.outcome")  // see larder.SpanOutcome
)

// Tracer returns what [larder.Options.Tracer] takes: spans called "larder.get",
// "larder.load" and so on, by the kinds of [larder.SpanKind], with the attributes
// larder.keyspace, larder.count and larder.outcome: never a key, a tag, a value
// or the text of an error. Loaders get the context of their span, so what they
// do at the source appears within it. Hits in memory are no span. Spans that
// end with anything that went wrong have the status Error.
func Tracer(provider trace.TracerProvider) larder.Tracer {
	return tracer{provider.Tracer(scopeName)}
}

type tracer struct{ of trace.Tracer }

// StartSpan implements larder.Tracer.
func (t tracer) StartSpan(ctx context.Context, start larder.SpanStart) (context.Context, larder.Span) {
	attributes := []attribute.KeyValue{attrCount.Int(start.Count)}
	if start.Keyspace != "" {
		attributes = append(attributes, attrKeyspace.String(start.Keyspace))
	}
	ctx, s := t.of.Start(ctx, "larder."+string(start.Kind), trace.WithAttributes(attributes...))
	return ctx, span{s}
}

type span struct{ of trace.Span }

// EndSpan implements larder.Span.
func (s span) EndSpan(outcome larder.SpanOutcome) {
	s.of.SetAttributes(attrOutcome.String(string(outcome)))
	switch outcome {
	case larder.SpanPending, larder.SpanBusy, larder.SpanTimeout, larder.SpanError:
		s.of.SetStatus(codes.Error, string(outcome))
	}
	s.of.End()
}
