package redistier

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/larder-go/larder/internal/clock"
)

// asleep returns for how long the machine was suspended until now, plus a
// constant: the clock that counts suspensions minus the one that does not.
func asleep() time.Duration {
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return 0
	}
	return time.Duration(boot.Nano() - clock.Now())
}
