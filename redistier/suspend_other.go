//go:build !linux

package redistier

import "time"

// asleep cannot tell suspensions here: a machine that was suspended may serve
// from memory what it read before, until its heartbeats find the server gone.
func asleep() time.Duration { return 0 }
