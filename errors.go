package larder

import (
	"errors"
	"fmt"
)

// Errors that callers branch on.
var (
	// ErrNotFound says that the source has no such entry. Loaders return it;
	// it is cached for [KeyspaceOptions.NegativeTTL] and returned by reads.
	ErrNotFound = errors.New("larder: not found")
	// ErrMiss says that nothing usable is cached. Only reads that never load
	// return it.
	ErrMiss = errors.New("larder: miss")
	// ErrClosed reports a call on a closed cache.
	ErrClosed = errors.New("larder: cache is closed")
	// ErrPending reports an invalidation that Redis has not confirmed. Until
	// it does, this process serves the entries concerned from their source
	// and keeps retrying. Wrapped by [*PendingError].
	ErrPending = errors.New("larder: invalidation not confirmed")
	// ErrNotStrict reports an invalidation that is confirmed, but for which it
	// is not known that every process has heard of it.
	ErrNotStrict = errors.New("larder: invalidated, but not known everywhere")
	// ErrInvalidToken reports text that is no [Token].
	ErrInvalidToken = errors.New("larder: invalid token")
	// ErrInvalidKey reports a key that cannot name an entry.
	ErrInvalidKey = errors.New("larder: invalid key")
	// ErrLoadTimeout reports a load that took longer than
	// [KeyspaceOptions.LoadTimeout] or [KeyspaceOptions.HardTimeout].
	ErrLoadTimeout = errors.New("larder: load timed out")
	// ErrNothingStale reports a loader that called [Load.NotModified] although
	// its load refreshes no value.
	ErrNothingStale = errors.New("larder: nothing to leave as it is")
	// ErrTooLarge reports a value above [Options.MaxValueBytes]. Get returns
	// such a value without caching it; Set refuses it.
	ErrTooLarge = errors.New("larder: value too large")
	// ErrUnreadable reports a stored value that [OpenPayload] cannot open.
	ErrUnreadable = errors.New("larder: unreadable value")
	// ErrHeld reports a Set while fills of the entry are held off by
	// [Keyspace.Mutate] or [KeyspaceOptions.HoldOff].
	ErrHeld = errors.New("larder: held off")
	// ErrBusy reports that more loads wait for the bulkhead than
	// [KeyspaceOptions.LoadQueue] allows.
	ErrBusy = errors.New("larder: too many loads waiting")
	// ErrLocked reports a lock that somebody else holds.
	ErrLocked = errors.New("larder: locked")
	// ErrLockLost reports a lock that is not held any more: it was not renewed
	// in time, or Redis lost it.
	ErrLockLost = errors.New("larder: lock lost")
	// ErrNoDefault reports a package function called before [SetDefault].
	ErrNoDefault = errors.New("larder: no default cache is set")
)

// PendingError lists what of an invalidation is not confirmed. It matches
// [ErrPending] and the reason.
type PendingError struct {
	Keys []string // remote keys, in the order of the call
	Err  error    // why the first of them failed
}

func (e *PendingError) Error() string {
	return fmt.Sprintf("%v for %d of its keys, retrying: %v", ErrPending, len(e.Keys), e.Err)
}

// Unwrap makes the error match [ErrPending] and its reason.
func (e *PendingError) Unwrap() []error { return []error{ErrPending, e.Err} }

// BatchError tells which keys of a batch failed, and why. The others are done:
// their values are returned, or set. It matches every one of the reasons.
type BatchError struct {
	Failed []KeyError // in no order
}

// KeyError is a key of a batch with the reason why it failed. Key has the type
// of the keyspace's keys.
type KeyError struct {
	Key any
	Err error
}

// Of returns why key failed, nil if it did not. It looks at one failure after
// the other.
func (e *BatchError) Of(key any) error {
	for _, f := range e.Failed {
		if f.Key == key {
			return f.Err
		}
	}
	return nil
}

func (e *BatchError) Error() string {
	if len(e.Failed) == 0 {
		return "larder: no key failed"
	}
	first := fmt.Sprintf("larder: key %.60q: %v", fmt.Sprint(e.Failed[0].Key), e.Failed[0].Err)
	if n := len(e.Failed) - 1; n > 0 {
		return fmt.Sprintf("%s (and %d more keys)", first, n)
	}
	return first
}

// Unwrap returns the reasons.
func (e *BatchError) Unwrap() []error {
	all := make([]error, len(e.Failed))
	for i := range e.Failed {
		all[i] = e.Failed[i].Err
	}
	return all
}

// PanicError is what the waiters of a load receive when the loader or the codec
// panicked. The caller that led the load panics with the same value. A nil Value
// means that the loader ended its goroutine by runtime.Goexit, as t.FailNow
// does; the caller that led the load receives the error like everybody then.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return "larder: loader ended its goroutine"
	}
	return fmt.Sprintf("larder: loader panicked: %v", e.Value)
}

// Unwrap returns the panic value if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
