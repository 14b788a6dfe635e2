package model

// Suspend: the machine of node B sleeps for longer than T = 2 ticks; its
// monotonic clock stands still meanwhile, so evidence does not age, while the
// server may drop its connection and others invalidate what it keeps. Discrete
// time; real and monotonic time start together. When a heartbeat is sent, B
// compares the monotonic clock with the one that counts sleep; if they have
// drifted apart it flushes: entries, the tickets of reads under way, and the
// credit.
//
// S: from the first heartbeat that B sends after it woke up, it returns
// nothing that has been invalid for more than T of real time. Before that, for
// at most a quarter of T, nothing is promised.
var suspend = configuration{
	name: "suspend", promises: "S",
	mutants: []mutant{
		{name: "nocompare", rule: "the clocks are not compared"},
		{name: "entriesonly", rule: "the flush forgets the reads under way"},
		{name: "onreply", rule: "the clocks are compared when the heartbeat is answered"},
		{name: "atwakeup", harmless: true, rule: "the flush happens at once on waking up"},
	},
	run: func(mut string) outcome {
		gets := bound(mut, 2, 1)
		if mut == "atwakeup" { // explored to its end as well
			gets = 1
		}
		return explore(suspendState{link: true, gets: gets}, func(s suspendState, e edges[suspendState]) { s.steps(mut, e) }, holds)
	},
}

const suspendT = 2

type suspendState struct {
	now, mono  int8 // real and monotonic time
	asleep     bool
	slept      bool // at least once
	checked    bool // a heartbeat was sent since it woke up
	drift      int8 // sleep that was noticed
	link       bool
	push       bool // a push for the entry on the wire
	executed   int8 // when, 0: not yet
	kept       bool // B keeps the old value
	asOf       int8 // monotonic time up to which the connection is proven
	beat       int8 // send time of the heartbeat under way, 0: none
	read       int8 // 1 + send time of a read under way, 0: none
	got        bool // the read has fetched the old value
	ticketDead bool
	gets       uint8
}

func (s suspendState) steps(mut string, e edges[suspendState]) {
	s.world(mut, e)
	if s.asleep {
		return
	}
	s.heartbeat(mut, e)
	s.get(e)
	if s.push && s.link {
		x := s
		x.push, x.kept, x.ticketDead = false, false, true
		e.to(x, "B handles the push")
	}
}

// world is time, sleep, the network and the writer.
func (s suspendState) world(mut string, e edges[suspendState]) {
	if s.now < 8 {
		x := s
		x.now++
		if !s.asleep {
			x.mono++
		}
		e.to(x, "tick %d", x.now)
	}
	if s.link {
		x := s
		x.link = false
		e.to(x, "the link dies, nobody tells B")
	}
	if s.executed == 0 && s.now > 0 {
		x := s
		x.executed, x.push = x.now, true
		e.to(x, "an invalidation is executed at %d", x.now)
	}
	switch {
	case s.asleep:
		x := s
		x.asleep, x.slept, x.checked = false, true, false
		if mut == "atwakeup" {
			x.flush(mut)
		}
		e.to(x, "B wakes up at %d, its clock says %d", x.now, x.mono)
	case !s.slept:
		x := s
		x.asleep = true
		e.to(x, "B falls asleep")
	}
}

// flush forgets everything whose age nobody knows.
func (s *suspendState) flush(mut string) {
	if s.now-s.mono == s.drift || mut == "nocompare" {
		return
	}
	s.drift = s.now - s.mono
	s.kept, s.asOf = false, -100
	s.ticketDead = s.ticketDead || mut != "entriesonly"
}

func (s suspendState) heartbeat(mut string, e edges[suspendState]) {
	x := s
	if s.beat == 0 {
		x.checked = true
		if mut != "onreply" {
			x.flush(mut)
		}
		x.beat = x.mono + 1
		e.to(x, "B sends a heartbeat at %d", x.mono)
		return
	}
	if s.link && !s.push {
		if mut == "onreply" {
			x.flush(mut)
		}
		x.asOf, x.beat = max(x.asOf, s.beat-1), 0
		e.to(x, "the heartbeat is acknowledged, evidence up to %d", x.asOf)
	}
}

// get reads from memory or Redis, within T.
func (s suspendState) get(e edges[suspendState]) {
	if s.kept && s.asOf >= s.mono-suspendT {
		if s.broken() {
			e.bad(s, "S: a value was returned that had been invalid for longer than T", "B hits memory at %d", s.now)
		}
	}
	x := s
	switch {
	case s.read == 0 && s.gets > 0 && s.link:
		x.gets--
		x.read, x.ticketDead = x.mono+1, false
		e.to(x, "B sends a read at %d", x.mono)
	case s.read != 0 && !s.got && s.link:
		x.got = s.executed == 0
		if !x.got {
			x.read = 0 // finds the new value, which needs no checking
		}
		e.to(x, "the read is executed, old value: %v", x.got)
	case s.got:
		x.kept = x.kept || !x.ticketDead
		if !x.ticketDead {
			x.asOf = max(x.asOf, s.read-1)
		}
		x.read, x.got, x.ticketDead = 0, false, false
		e.to(x, "the reply comes, kept: %v", x.kept)
	}
}

// broken reports whether returning the old value now breaks the promise.
func (s *suspendState) broken() bool {
	return s.executed != 0 && s.now > s.executed+suspendT && (!s.slept || s.checked)
}
