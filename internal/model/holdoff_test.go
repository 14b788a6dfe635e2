package model

// HoldOff: loads read a replica of the database that lags by up to two ticks.
// Invalidate executes a hold-off of three ticks instead of a DEL: reads bypass
// Redis, store nothing and keep nothing until it ends. Discrete time; two
// writers may hold off at once; one load through a lease may be under way since
// before the hold.
//
// H: a value stored or kept after an invalidation was executed is not older
// than it, although the replica is.
var holdOff = configuration{
	name: "hold-off", promises: "H",
	mutants: []mutant{
		{name: "plaindel", rule: "Invalidate is a DEL: the next load stores what the replica still has"},
		{name: "short", rule: "the hold is shorter than the lag"},
		{name: "first", rule: "a second hold does not extend the first"},
		{name: "leasestays", rule: "the hold leaves a running lease alone"},
		{name: "kept", rule: "a load under the hold is kept in memory"},
		{name: "acquires", rule: "a hold is treated as absence"},
		{name: "evicted", rule: "Redis evicts the hold: the limit of HoldOff, which needs room or luck"},
	},
	run: func(mut string) outcome {
		init := holdOffState{k: 2, writes: 2, loads: bound(mut, 3, 2)}
		return explore(init, func(s holdOffState, e edges[holdOffState]) { s.steps(mut, e) }, func(s holdOffState) string {
			if s.k == 2 && s.kv < s.executed {
				return "H: what the replica had is stored after the hold"
			}
			return ""
		})
	},
}

const replicaLag = 2

type holdOffState struct {
	now           uint8
	db, replica   uint8    // committed version; what the replica has
	commits       [3]uint8 // when each version was committed
	executed      uint8    // newest version whose invalidation was executed
	k, kv         uint8    // 0 absent, 1 lease, 2 value, 3 hold; version
	until         uint8    // end of the hold
	writer        [2]uint8 // 0 idle, then the version it committed
	writes, loads uint8
	load, v       uint8 // 0 none, 1 leased, 2 bypassing, 3 leased and loaded, 4 bypassed and loaded; version
	lost          bool  // the lease of the load is gone
}

func (s holdOffState) steps(mut string, e edges[holdOffState]) {
	s.pass(e)
	s.change(mut, e)
	s.fill(mut, e)
	if mut == "evicted" && s.k == 3 {
		x := s
		x.k, x.until = 0, 0
		e.to(x, "the hold is evicted")
	}
}

// pass lets time pass, unless the replica would lag too much.
func (s holdOffState) pass(e edges[holdOffState]) {
	if s.replica < s.db {
		x := s
		x.replica++
		e.to(x, "the replica receives v%d", x.replica)
	}
	overdue := s.replica < s.db && s.now-s.commits[s.replica+1] >= replicaLag
	if s.now >= 10 || overdue {
		return
	}
	x := s
	x.now++
	if x.k == 3 && x.now >= x.until {
		x.k, x.until = 0, 0
	}
	e.to(x, "tick %d", x.now)
}

// change is two writers that commit and invalidate.
func (s holdOffState) change(mut string, e edges[holdOffState]) {
	for w := range 2 {
		x := s
		if s.writer[w] == 0 {
			if s.writes == 0 {
				continue
			}
			x.writes--
			x.db++
			x.commits[x.db], x.writer[w] = x.now, x.db
			e.to(x, "writer %d commits v%d", w, x.db)
			continue
		}
		x.executed = max(x.executed, x.writer[w])
		x.writer[w] = 0
		x.hold(mut)
		e.to(x, "writer %d: invalidation executed", w)
	}
}

func (s *holdOffState) hold(mut string) {
	length := uint8(replicaLag + 1)
	if mut == "short" {
		length = replicaLag - 1
	}
	switch {
	case mut == "plaindel":
		s.k, s.kv, s.lost = 0, 0, true
	case mut == "leasestays" && s.k == 1:
	case mut == "first" && s.k == 3:
	default:
		s.k, s.kv, s.lost = 3, 0, true
		s.until = max(s.until, s.now+length)
	}
}

// fill is a node that loads.
func (s holdOffState) fill(mut string, e edges[holdOffState]) {
	x := s
	switch s.load {
	case 0:
		switch {
		case s.loads == 0 || s.k == 1 || s.k == 2:
		case s.k == 3 && mut != "acquires":
			x.loads--
			x.load = 2
			e.to(x, "a Get finds the hold and bypasses")
		default:
			x.loads--
			x.k, x.until, x.load, x.lost = 1, 0, 1, false
			e.to(x, "a Get gets the lease")
		}
	case 1, 2:
		x.v, x.load = x.replica, s.load+2
		e.to(x, "the replica answers with v%d", x.v)
	case 3:
		if x.k == 1 && !x.lost {
			x.k, x.kv = 2, x.v
		}
		x.load, x.v = 0, 0
		e.to(x, "fill executed")
	case 4:
		x.load, x.v = 0, 0
		if mut == "kept" && s.v < s.executed {
			e.bad(x, "H: what the replica had is kept in memory", "the bypassing Get keeps v%d", s.v)
			return
		}
		e.to(x, "the bypassing Get returns, nothing is kept")
	}
}
