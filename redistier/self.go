package redistier

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder"
)

// self is what the connections of one tier share.
type self struct {
	cfg       Config
	keys      keys
	events    larder.RemoteEvents // set by Start
	member    string              // our name in registries
	bound     bound
	sightings sightings
	// barrier makes a round trip on every connection but the given one.
	barrier func(context.Context, *conn) error
	// asleep returns for how long the machine was suspended, plus a constant.
	asleep func() time.Duration
	// clear deletes the generations of the whole namespace.
	clear func(context.Context) error
}

// bound is the MaxStaleness of the namespace as Redis has it.
type bound struct{ nanos atomic.Int64 }

func (b *bound) learn(d time.Duration) { b.nanos.Store(int64(d)) }

// known returns it, zero before the first connection.
func (b *bound) known() time.Duration { return time.Duration(b.nanos.Load()) }

// longest returns for how long any member may serve from memory without a
// heartbeat, with the allowance for clocks of different rates.
func (s *self) longest() time.Duration {
	longest := max(s.cfg.MaxStaleness, s.bound.known())
	return longest + longest/50
}

// clusterPatience is the least patience in a cluster, where a member may look
// for its registry at the former owner of a slot until it gives that up.
const clusterPatience = 30 * time.Second

// patience is for how long a member may be silent before it is removed.
func (s *self) patience() time.Duration {
	if s.keys.clustered() {
		return max(2*s.longest(), clusterPatience)
	}
	return 2 * s.longest()
}
