package dashboard

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAnOutageIsToldOnceAMinute(t *testing.T) {
	var o Outage
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	away, silent, other := fmt.Errorf("read: %w", ErrUnavailable), fmt.Errorf("read: %w", context.DeadlineExceeded), errors.New("syntax error")
	for i, x := range []struct {
		err   error
		after time.Duration
		want  bool
	}{{away, 0, true}, {away, 0, false}, {silent, 59 * time.Second, false}, {other, 59 * time.Second, true}, {other, 59 * time.Second, true}, {silent, time.Minute, true}, {away, 61 * time.Second, false}, {away, 2 * time.Minute, true}} {
		if got := o.Tell(x.err, now.Add(x.after)); got != x.want {
			t.Errorf("%d: %v after %v: %v", i, x.err, x.after, got)
		}
	}
}
