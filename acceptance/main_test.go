package acceptance

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-go/larder/internal/clock"
)

// nodeVariable holds the configuration of a node; a test program that finds it
// set is one.
const nodeVariable = "LARDER_ACCEPTANCE_NODE"

func TestMain(m *testing.M) {
	clock.UseCounter(true) // as programs do that are no tests
	if config := os.Getenv(nodeVariable); config != "" {
		if err := runNode(config); err != nil {
			fmt.Fprintln(os.Stderr, "node:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// long tells whether the long form of the tests is asked for.
func long() bool { return os.Getenv("LARDER_LONG") != "" }

// either returns the length of the short or the long form.
func either(short, full time.Duration) time.Duration {
	if long() {
		return full
	}
	return short
}
