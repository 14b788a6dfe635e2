// Package clock reads the monotonic clock as a plain number.
package clock

import "time"

// base is the zero of [Now]; only differences of readings mean anything.
var base = time.Now()

// Never is earlier than every reading: the evidence of what was never proven.
const Never int64 = -1 << 63

// Now returns monotonic nanoseconds since the process started. One reading
// costs about 25 ns; see [Soon]. Inside a testing/synctest bubble it is virtual time.
func Now() int64 { return int64(time.Since(base)) }

// Add returns t + d without wrapping around: adding to [Never] stays Never and
// a sum beyond the largest number is that number.
func Add(t int64, d time.Duration) int64 {
	if t == Never {
		return Never
	}
	sum := t + int64(d)
	switch {
	case d > 0 && sum < t:
		return 1<<63 - 1
	case d < 0 && sum > t:
		return Never
	}
	return sum
}
