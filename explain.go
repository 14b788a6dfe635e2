package larder

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
)

// EntryState says what a read would make of what Redis has of an entry.
type EntryState string

// The states of an entry. [StateUnfit] is told where the keyspace is declared.
const (
	StateAbsent   EntryState = "absent"     // Redis has nothing; the next read loads
	StateLoading  EntryState = "loading"    // somebody holds the lease
	StateHeld     EntryState = "held off"   // reads go to the source, fills are refused
	StateFresh    EntryState = "fresh"      // served
	StateStale    EntryState = "stale"      // past its soft deadline, served only where grace is allowed
	StateExpired  EntryState = "expired"    // past its hard deadline
	StateOutdated EntryState = "outdated"   // a tag, a prefix or the namespace was invalidated
	StateUnfit    EntryState = "unfit"      // intact, but of another schema, codec or key than this process uses
	StateForeign  EntryState = "foreign"    // written by another program; served where no tags are declared
	StateCorrupt  EntryState = "corrupt"    // begins like Larder's and holds something else; replaced
	StateMemory   EntryState = "memory"     // of a MemoryOnly keyspace: Redis has its generation only
	StateWrong    EntryState = "wrong type" // the key holds no string
	StateNone     EntryState = "no tier"    // this cache has no remote tier
)

// Explanation is everything about one entry that a person may ask for.
type Explanation struct {
	Name  string     // of the entry in its namespace
	Key   string     // in Redis
	State EntryState // what a read would make of it
	Why   []string   // reasons for State, a sentence each, the deciding one first

	Stored string        // the bytes under Key, nothing taken away
	TTL    time.Duration // what Redis lets it live; negative: without end
	Now    time.Time     // of the server that has it

	// What follows is set for values of Larder.

	Negative    bool          // the source has no such entry
	Codec       uint8         // see [Codec]
	Compression uint8         // 0 none, 1 s2, 2 zstd
	Sealed      bool          // the payload is encrypted
	Schema      uint32        // fingerprint of the type; 0: none
	Version     uint64        // of the source; 0: none
	ID          string        // of the write that made it, hexadecimal
	Written     time.Time     // when it was stored, to the second; zero: the entry does not say
	LoadTime    time.Duration // of the load that brought it; zero: the entry does not say
	Soft        time.Time     // fresh until then, by the server's clock
	Hard        time.Time     // gone from then on
	Payload     string        // as it is stored: perhaps compressed and encrypted
	Tags        []TagState

	Lease   string       // token of who loads, hexadecimal; State is [StateLoading]
	Holders []HoldHolder // who holds off; State is [StateHeld]

	Memory []MemoryCopy // what this process has in memory
}

// TagState is one thing an entry depends on.
type TagState struct {
	Kind    string // namespace, prefix, tag, or entry (the own one of a MemoryOnly entry)
	Name    string
	Key     string // of its generation in Redis
	Carried string // the generation the entry was loaded under, hexadecimal
	Present string // the one that Redis has now; empty: none, which outdates too
	Held    bool   // the tag is held off
	Current bool   // both are the same
}

// HoldHolder is one of those who hold an entry off.
type HoldHolder struct {
	Token string // hexadecimal
	Until time.Time
}

// MemoryCopy is an entry in the memory of this process.
type MemoryCopy struct {
	Keyspace string
	Usable   bool          // a read with the default tolerance would get it
	Stale    bool          // and it is past its TTL, within grace
	Why      string        // a sentence
	Negative bool          // the source has no such entry
	Left     time.Duration // until its hard deadline
	Evidence time.Duration // age of the newest proof that it is current; negative: none
	Weight   int           // in bytes, about
}

// Explain tells what Redis and the memory of this process have of the entry
// called name, such as "suite:42", and what a read would make of it. It changes
// nothing and is for people: it costs two round trips and looks at every entry
// in memory. It fails when Redis cannot be asked.
func (c *Cache) Explain(ctx context.Context, name string) (Explanation, error) {
	if name == "" {
		return Explanation{}, fmt.Errorf("%w: empty name", ErrInvalidKey)
	}
	x, err := c.explainRemote(ctx, name, c.spaceOf(name))
	if c.memory != nil {
		now := clock.Now()
		for _, h := range c.memory.All() {
			if h.owner.nameOf(h) == name {
				x.Memory = append(x.Memory, c.explainCopy(h, now))
			}
		}
	}
	return x, err
}

// Explain is [Cache.Explain] for the entry of key. It looks at one entry in
// memory.
func (k *Keyspace[K, V]) Explain(ctx context.Context, key K) (Explanation, error) {
	name, err := k.entryName(key)
	if err != nil {
		return Explanation{}, err
	}
	x, err := k.cache.explainRemote(ctx, name, &k.space)
	if k.memory != nil {
		if e := k.own(k.memory.Get(k.hash(key)), key); e != nil {
			x.Memory = append(x.Memory, k.cache.explainCopy(&e.head, clock.Now()))
		}
	}
	return x, err
}

// explainCopy judges a memory entry as a read at now would.
func (c *Cache) explainCopy(h *head, now int64) MemoryCopy {
	m := MemoryCopy{Keyspace: h.owner.name, Negative: h.negative, Left: time.Duration(h.end() - now), Weight: int(h.weight()), Evidence: -1}
	evidence := h.evidence()
	if h.epoch != nil && h.epoch.AsOf() > evidence {
		evidence = h.epoch.AsOf()
	}
	if evidence != clock.Never {
		m.Evidence = max(0, time.Duration(now-evidence))
	}
	switch {
	case now >= h.end():
		m.Why = "it is past its hard deadline"
	case !h.live():
		m.Why = "its key was changed or invalidated"
	case h.epoch != nil && !h.epoch.Alive():
		m.Why = "the connection it was read on has ended or was flushed"
	case !h.proves(now - c.tolerance.Load()):
		m.Why = fmt.Sprintf("a tag was invalidated, or no heartbeat of the last %v proves it", time.Duration(c.tolerance.Load()))
	case now >= h.softEnd():
		m.Usable, m.Stale = true, true
		m.Why = fmt.Sprintf("it is stale since %v, and served while it is refreshed; grace ends in %v", rounded(now-h.softEnd()), rounded(h.end()-now))
	default:
		m.Usable, m.Why = true, "nothing changed since it was read, and heartbeats prove it"
	}
	return m
}

// explainRemote reads the entry first and what it depends on afterwards: a
// difference then is no accident of the order. Without the keyspace, nil, it
// cannot tell whether this process could use the value.
func (c *Cache) explainRemote(ctx context.Context, name string, of *space) (Explanation, error) {
	x := Explanation{Name: name, Key: c.entryKey(name), State: StateNone}
	if c.remote == nil {
		x.Why = []string{"this cache lives in the memory of its process"}
		return x, nil
	}
	own := c.tagKey(entryMark + name)
	replies, err := c.ask(ctx, Op{Kind: OpInspect, Key: x.Key}, Op{Kind: OpGet, Key: own})
	if err != nil {
		return x, fmt.Errorf("larder: explain %q: %w", name, err)
	}
	epoch := c.remote.Epoch(x.Key)
	if epoch == nil {
		return x, fmt.Errorf("larder: explain %q: %w", name, ErrUnavailable)
	}
	now := epoch.serverTime(clock.Now())
	x.Now, x.Stored, x.TTL = time.UnixMilli(now), replies[0].Data, replies[0].TTL
	switch {
	case replies[0].Err != nil: // of another type, see ask
		x.say(StateWrong, "the key holds no string; reads load and cannot store")
	case replies[0].State == Absent && replies[1].State == Present:
		x.Tags = []TagState{tagState("entry", name, own, "", replies[1])}
		x.say(StateMemory, "processes keep the value in memory; Redis holds the generation that outdates it")
	case replies[0].State == Absent:
		x.say(StateAbsent, "nothing is stored; the next read loads")
	default:
		err = c.explainBytes(ctx, &x, now, of)
	}
	if c.pending.has(x.Key, []string{own}) {
		x.Why = append(x.Why, "this process bypasses it: its invalidation is not confirmed yet")
	}
	return x, err
}

func (x *Explanation) say(state EntryState, why string) {
	x.State, x.Why = state, append([]string{why}, x.Why...)
}

// ask sends ops and returns their replies; a key of another type is no failure.
func (c *Cache) ask(ctx context.Context, ops ...Op) ([]Reply, error) {
	replies := make([]Reply, len(ops))
	ctx, cancel := context.WithTimeout(ctx, c.opts.WriteTimeout)
	defer cancel()
	c.send(ctx, ops, replies)
	for i := range replies {
		if err := replies[i].Err; err != nil && err != ErrWrongType {
			return nil, err
		}
	}
	return replies, nil
}

// explainBytes judges the string that is stored.
func (c *Cache) explainBytes(ctx context.Context, x *Explanation, now int64, of *space) error {
	switch frame.KindOf(x.Stored) {
	case frame.Foreign:
		x.Payload = x.Stored
		x.say(StateForeign, "another program wrote it; keyspaces without tags serve it while their codec accepts it")
	case frame.Lease:
		x.explainLease()
	case frame.Hold:
		x.explainHold()
	case frame.Value:
		var e frame.Entry
		if x.parse(&e) {
			return c.explainValue(ctx, x, &e, now, of)
		}
	}
	return nil
}

func (x *Explanation) explainLease() {
	token, err := frame.ParseLease(x.Stored)
	if err != nil {
		x.say(StateCorrupt, "it begins like a lease and is none; the next read replaces it")
		return
	}
	x.Lease = hex.EncodeToString(token[:])
	x.say(StateLoading, fmt.Sprintf("somebody loads it; the lease ends in %v unless it is renewed", x.TTL))
}

func (x *Explanation) explainHold() {
	holders, err := frame.ParseHold(x.Stored)
	if err != nil {
		x.say(StateCorrupt, "it begins like a hold-off and is none; the next read replaces it")
		return
	}
	for _, h := range holders {
		x.Holders = append(x.Holders, HoldHolder{hex.EncodeToString(h.Token[:]), time.UnixMilli(h.Until)})
	}
	x.say(StateHeld, fmt.Sprintf("%d hold it off; reads go to the source for %v", len(holders), x.TTL))
}

// parse reads the header of a value; false if there is none.
func (x *Explanation) parse(e *frame.Entry) bool {
	err := frame.Parse(x.Stored, e)
	if err != nil {
		x.say(StateCorrupt, "it begins like a value and does not hold what that announces; the next read replaces it")
	}
	return err == nil
}

func (c *Cache) explainValue(ctx context.Context, x *Explanation, e *frame.Entry, now int64, of *space) error {
	x.Negative, x.Codec, x.Compression, x.Sealed = e.Negative, uint8(e.Codec), e.Compression, e.Sealed
	x.Schema, x.Version, x.ID, x.Payload = e.Schema, e.Version, hex.EncodeToString(e.ID[:]), e.Payload
	x.Soft, x.Hard, x.LoadTime = time.UnixMilli(e.Soft), time.UnixMilli(e.Hard), time.Duration(e.LoadMillis)*time.Millisecond
	if e.HasWritten { // modulo 18 hours
		age, _ := e.Age(now)
		x.Written = time.UnixMilli(now).Truncate(time.Second).Add(-time.Duration(age) * time.Second)
	}
	if err := c.explainTags(ctx, x, e); err != nil {
		return fmt.Errorf("larder: explain %q: %w", x.Name, err)
	}
	fits, unusable := fitting, ""
	if of != nil {
		fits, unusable = of.packing.judge(e, x.Key)
	}
	switch {
	case e.Hard <= now:
		x.say(StateExpired, fmt.Sprintf("its hard deadline passed %v ago", since(now, e.Hard)))
	case len(x.Why) > 0:
		x.State = StateOutdated
	case fits == unfit:
		x.say(StateUnfit, unusable+"; reads here load")
	case fits == damaged:
		x.say(StateCorrupt, unusable+"; the next read replaces it")
	case e.Soft <= now && of != nil && now >= e.Soft+of.grace.Milliseconds():
		x.say(StateStale, fmt.Sprintf("its soft deadline passed %v ago; the grace here is %v, so reads load", since(now, e.Soft), of.grace))
	case e.Soft <= now:
		x.say(StateStale, fmt.Sprintf("its soft deadline passed %v ago; grace ends in %v", since(now, e.Soft), since(e.Hard, now)))
	default:
		x.say(StateFresh, fmt.Sprintf("all it depends on is unchanged; it turns stale in %v", since(e.Soft, now)))
	}
	return nil
}

// rounded is a number of nanoseconds for people.
func rounded(ns int64) time.Duration { return time.Duration(ns).Round(time.Millisecond) }

func since(a, b int64) time.Duration { return time.Duration(a-b) * time.Millisecond }

// explainTags compares the generations the value was loaded under with those
// of now, and gives each difference as a reason.
func (c *Cache) explainTags(ctx context.Context, x *Explanation, e *frame.Entry) error {
	x.Tags = []TagState{{Kind: "namespace", Name: c.opts.Namespace, Key: c.namespaceKey(x.Key), Carried: hex.EncodeToString(e.Namespace[:])}}
	for i := range e.Pairs {
		p := &e.Pairs[i]
		t := TagState{Kind: "tag", Name: p.Tag, Key: c.tagKey(p.Tag), Carried: hex.EncodeToString(p.Generation[:])}
		if prefix, ok := strings.CutPrefix(p.Tag, prefixMark); ok {
			t.Kind, t.Name = "prefix", prefix
		}
		x.Tags = append(x.Tags, t)
	}
	ops := make([]Op, len(x.Tags))
	for i := range ops {
		ops[i] = Op{Kind: OpGet, Key: x.Tags[i].Key}
	}
	replies, err := c.ask(ctx, ops...)
	if err != nil {
		return err
	}
	for i := range x.Tags {
		t := &x.Tags[i]
		*t = tagState(t.Kind, t.Name, t.Key, t.Carried, replies[i])
		if why := t.difference(); why != "" {
			x.Why = append(x.Why, why)
		}
	}
	return nil
}

func tagState(kind, name, key, carried string, reply Reply) TagState {
	t := TagState{Kind: kind, Name: name, Key: key, Carried: carried}
	if reply.State == Present {
		holders, err := frame.ParseHold(reply.Data)
		t.Held = err == nil && len(holders) > 0
		t.Present = hex.EncodeToString([]byte(reply.Data))
	}
	t.Current = t.Present == carried && !t.Held
	return t
}

// difference says how the generation changed, nothing if it did not.
func (t *TagState) difference() string {
	what := fmt.Sprintf("%s %q", t.Kind, t.Name)
	switch {
	case t.Held:
		return what + " is held off: reads go to the source"
	case t.Present == "":
		return what + " was invalidated: its generation is gone"
	case !t.Current:
		return what + " was invalidated and has had another generation since"
	}
	return ""
}
