package clock

import (
	"bytes"
	"os"
	"testing"
)

// counter reads the time stamp counter without waiting for what the processor
// does meanwhile: it may be read some instructions early or late.
func counter() uint64

func init() {
	if !testing.Testing() {
		UseCounter(true)
	}
}

// clockSource is where Linux says what it computes the time from.
const clockSource = "/sys/devices/system/clocksource/clocksource0/current_clocksource"

// counterTrusted reports whether the system's clock is the counter. Linux makes
// it so only where the counter is of one rate, never stops and is the same on all
// processors, and looks after it. What counters may lack is in its
// Documentation/virt/kvm/x86/timekeeping.rst.
func counterTrusted() bool {
	source, err := os.ReadFile(clockSource)
	return err == nil && string(bytes.TrimSpace(source)) == "tsc"
}
