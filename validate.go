package larder

import (
	"errors"
	"fmt"
	"time"
)

func (o Options) validate() error {
	return errors.Join(
		validNamespace(o.Namespace),
		atLeast("MemoryBytes", o.MemoryBytes, 64<<10, o.MemoryBytes < 0),
		atMost("MemoryBytes", o.MemoryBytes, 1<<40),
		atLeast("MemoryEntries", int64(o.MemoryEntries), max(8, o.MemoryBytes>>31), o.MemoryEntries == 0),
		atLeast("MaxStaleness", o.MaxStaleness, 20*time.Millisecond, false),
		atMost("MaxStaleness", o.MaxStaleness, time.Hour),
		atLeast("ReadTimeout", o.ReadTimeout, time.Millisecond, false),
		atMost("ReadTimeout", o.ReadTimeout, time.Hour),
		atLeast("WriteTimeout", o.WriteTimeout, time.Millisecond, false),
		atMost("WriteTimeout", o.WriteTimeout, time.Hour),
		atLeast("LeaseTime", o.LeaseTime, 30*time.Millisecond, false),
		atMost("LeaseTime", o.LeaseTime, time.Hour),
		validRatio(o.BreakerRatio),
		atLeast("BreakerSlow", o.BreakerSlow, time.Millisecond*4/5, o.BreakerSlow < 0),
		atLeast("MaxValueBytes", o.MaxValueBytes, 1, false),
		atLeast("DefaultTTL", o.DefaultTTL, time.Millisecond, false),
		atMost("DefaultTTL", o.DefaultTTL, maxTTL),
		atLeast("AsyncLimit", o.AsyncLimit, 1, false),
	)
}

func (o KeyspaceOptions[K, V]) validate() error {
	err := errors.Join(
		atLeast("TTL", o.TTL, time.Millisecond, false),
		atMost("TTL", o.TTL, maxTTL),
		atLeast("NegativeTTL", o.NegativeTTL, time.Millisecond, o.NegativeTTL < 0),
		atMost("NegativeTTL", o.NegativeTTL, maxTTL),
		atLeast("LoadTimeout", o.LoadTimeout, time.Millisecond, o.LoadTimeout < 0),
		atLeast("LoadQueue", o.LoadQueue, 0, false),
		atLeast("LoadMinimum", o.LoadMinimum, 1, o.LoadLimit < 0 && o.LoadMinimum == 0),
		atMost("LoadMinimum", o.LoadMinimum, max(o.LoadLimit, 0)),
		atLeast("HoldOff", o.HoldOff, 0, false),
		atMost("HoldOff", o.HoldOff, time.Hour),
		o.validateStored(),
		o.validateAging(),
	)
	if o.Audit != nil && o.Audit.Load == nil {
		err = errors.Join(err, errors.New("Audit.Load: required"))
	}
	if o.Audit != nil {
		err = errors.Join(err, atLeast("Audit.Every", o.Audit.Every, 0, false))
	}
	for _, prefix := range o.Prefixes {
		if prefix == "" || len(prefix) > maxKeyBytes/2 {
			err = errors.Join(err, fmt.Errorf("Prefixes: %.40q is empty or longer than %d bytes", prefix, maxKeyBytes/2))
		}
	}
	if o.Tiers > RemoteOnly {
		err = errors.Join(err, fmt.Errorf("Tiers: %d is none of BothTiers, MemoryOnly, RemoteOnly", o.Tiers))
	}
	if o.AppendKey == nil {
		var key K
		err = errors.Join(err, fmt.Errorf("AppendKey: required for keys of type %T", key))
	}
	return err
}

func validRatio(r float64) error {
	if r < 0 || r > 0 && r <= 1 {
		return nil
	}
	return fmt.Errorf("BreakerRatio: %v is not between 0 and 1", r)
}

type number interface {
	~int | ~int64 | ~float64
}

func setDefault[N number](field *N, value N) {
	if *field == 0 {
		*field = value
	}
}

func atLeast[N number](field string, value, least N, off bool) error {
	if value >= least || off {
		return nil
	}
	return fmt.Errorf("%s: %v is below %v", field, value, least)
}

func atMost[N number](field string, value, most N) error {
	if value <= most {
		return nil
	}
	return fmt.Errorf("%s: %v is above %v", field, value, most)
}
