package larder

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// "EOF" is why a connection was lost; that the server now wants a password is why
// it does not come back, and what whoever reads the log has to know. Dialling again
// and again for one reason is told once, and reasons that differ each time do not
// fill the log.
func TestAnotherReasonOfAnAbsenceIsLogged(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var s connectionState
	lose := func(reasons ...string) {
		for _, why := range reasons {
			s.change(log, stateDisconnected, errors.New(why))
			s.change(log, stateBreakerOpen, errors.New("held back"))
		}
	}
	told := func(want ...string) {
		t.Helper()
		got := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(got) != len(want) {
			t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), out.String())
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("line %d is %s, want %s", i, got[i], want[i])
			}
		}
		out.Reset()
	}
	lose("EOF", "refused", "refused", "EOF", "WRONGPASS", "refused", "WRONGPASS")
	told("remote tier unavailable, serving from memory and loads\" error=EOF", "still unavailable, for another reason\" error=refused", "error=WRONGPASS")
	s.change(log, stateConnected, nil)
	told("connected")
	for i := range 100 {
		lose(fmt.Sprint("port ", i))
	}
	told("port 0", "port 1", "port 2", "port 3")
}
