package larder

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// EventKind says what happened.
type EventKind string

// The kinds of events. Hits in memory are none: they stay as fast as they are.
const (
	EventHit        EventKind = "hit"        // Redis answered a read
	EventLoad       EventKind = "load"       // a loader was called; Detail is its outcome
	EventRefused    EventKind = "refused"    // a loaded value was not stored; Detail is the reason
	EventInvalidate EventKind = "invalidate" // this process invalidated; Detail is the kind of target
	EventPush       EventKind = "push"       // another process changed an entry or generation; Name is its key in Redis
	EventState      EventKind = "state"      // the remote tier's state changed; Detail is the new one
)

// Event is something that happened in a cache. It never carries a value.
type Event struct {
	At       time.Time
	Kind     EventKind
	Keyspace string        // static name, if one entry is concerned
	Name     string        // of the entry, tag, prefix or pattern
	Detail   string        // what the kind says of it
	Took     time.Duration // of a load
}

// watchRoom is how many events wait for a slow watcher before more are lost.
const watchRoom = 256

// Watch delivers what happens in a cache from [Cache.Watch] until Stop.
type Watch struct {
	// Events is closed by Stop and by the end of the cache.
	Events <-chan Event

	cache   *Cache
	every   uint64
	seen    atomic.Uint64 // hits and loads
	dropped atomic.Uint64
	mu      sync.Mutex // guards what follows
	to      chan Event
	ended   bool
}

// Watch begins to deliver events: every invalidation, push, refusal and change
// of state, and one in every hits and loads (1 or less: all). A watcher that
// does not keep up loses events ([Watch.Dropped]) and slows nobody down. While
// nobody watches, events cost one comparison; reads from memory not even that.
func (c *Cache) Watch(every int) *Watch {
	to := make(chan Event, watchRoom)
	w := &Watch{Events: to, to: to, cache: c, every: uint64(max(every, 1))}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		w.end()
		return w
	}
	var list []*Watch
	if old := c.watches.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = append(list, w)
	c.watches.Store(&list)
	return w
}

// Stop ends the delivery. It may be called more than once.
func (w *Watch) Stop() {
	c := w.cache
	c.mu.Lock()
	if old := c.watches.Load(); old != nil {
		list := slices.DeleteFunc(slices.Clone(*old), func(o *Watch) bool { return o == w })
		if len(list) == 0 {
			c.watches.Store(nil)
		} else {
			c.watches.Store(&list)
		}
	}
	c.mu.Unlock()
	w.end()
}

func (w *Watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.ended = true
		close(w.to)
	}
}

// Dropped returns how many events were lost because the watcher was slow.
func (w *Watch) Dropped() uint64 { return w.dropped.Load() }

func (w *Watch) offer(e Event) {
	if (e.Kind == EventHit || e.Kind == EventLoad) && w.seen.Add(1)%w.every != 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	select {
	case w.to <- e:
	default:
		w.dropped.Add(1)
	}
}

// watched reports whether somebody watches: whoever makes an event asks first.
func (c *Cache) watched() bool { return c.watches.Load() != nil }

// tell offers an event to all who watch.
func (c *Cache) tell(e Event) {
	list := c.watches.Load()
	if list == nil {
		return
	}
	e.At = time.Now()
	for _, w := range *list {
		w.offer(e)
	}
}

// endWatches ends all watches when the cache does.
func (c *Cache) endWatches() {
	if list := c.watches.Swap(nil); list != nil {
		for _, w := range *list {
			w.end()
		}
	}
}

// tellEntry is tell for an event about the entry of key.
func (k *Keyspace[K, V]) tellEntry(kind EventKind, key K, detail string, took time.Duration) {
	name, _ := k.entryName(key)
	k.cache.tell(Event{Kind: kind, Keyspace: k.name, Name: name, Detail: detail, Took: took})
}
