package model

// Restarts among several masters: entry K and the generation of the namespace
// that it carries live on master 0, its tag on master 1. Either master may
// restart from a snapshot and bring back what was deleted: K itself, or an old
// generation of the tag, with which an old K would be valid again. Each master
// keeps the incarnation that its data belongs to. A node that finds another one
// on a new connection first replaces the generations of the namespace on all
// masters, since any entry may carry a tag of this one, then records the
// incarnation, and only then uses the connection.
var severalMasters = configuration{
	name: "several masters", promises: "P1",
	mutants: []mutant{
		{name: "ownmaster", rule: "a check replaces the generations of the restarted master alone"},
		{name: "uncheckedtag", rule: "only the connection to the entry's master is checked"},
		{name: "incfirst", rule: "the incarnation is recorded before the generations are replaced"},
		{name: "mixedepoch", rule: "a Get goes on with what it read before a restart"},
	},
	run: func(mut string) outcome {
		return explore(mastersState{
			k: 2, kg: 1, kn: 1, tag: 1, ns: 1, inc: [2]uint8{1, 1}, run: [2]uint8{1, 1},
			snap:    mastersSnapshot{k: 2, kg: 1, kn: 1, tag: 1, ns: 1, inc: [2]uint8{1, 1}},
			checked: [2][2]uint8{{3, 3}, {3, 3}}, snaps: 1, crashes: bound(mut, 2, 1), rounds: 1, gets: [2]uint8{1, 1},
		}, func(s mastersState, e edges[mastersState]) { s.steps(mut, e) }, holds)
	},
}

// mastersSnapshot is what both masters have on disk.
type mastersSnapshot struct {
	k, kv, kt, kg, kn, tag, ns uint8
	inc                        [2]uint8
}

type mastersState struct {
	db, floor      uint8    // versions: committed; confirmed
	k, kv, kt      uint8    // entry: 0 absent, 1 lease, 2 value; version; token
	kg             uint8    // its pair: generation of the tag
	kn             uint8    // its pair: generation of the namespace
	tag            uint8    // generation of the tag, 0 missing
	ns             uint8    // generation of the namespace on master 0
	inc, run       [2]uint8 // by master
	snap           mastersSnapshot
	snaps, crashes uint8

	checked       [2][2]uint8 // by node and master: 0 new, 1 found a mismatch, 2 in between, 3 checked
	pc            [2]uint8    // reader: 0 idle, 1 captured, 2 leased, 3 loaded
	f, v, t, g    [2]uint8    // floor at its start; value; token; captured tag
	n             [2]uint8    // captured generation of the namespace
	gets          [2]uint8
	writer, wtype uint8 // 0 idle, 1 committed, 2 executed; 0 K, 1 tag
	rounds        uint8
}

func (s mastersState) steps(mut string, e edges[mastersState]) {
	s.disasters(mut, e)
	s.write(e)
	for i := range 2 {
		for m := range 2 {
			s.check(mut, e, i, m)
		}
		s.read(mut, e, i)
	}
}

// disasters takes snapshots and restarts masters from them.
func (s mastersState) disasters(mut string, e edges[mastersState]) {
	if s.snaps > 0 {
		x := s
		x.snaps--
		x.snap = mastersSnapshot{k: x.k, kv: x.kv, kt: x.kt, kg: x.kg, tag: x.tag, kn: x.kn, ns: x.ns, inc: x.inc}
		e.to(x, "both masters write a snapshot")
	}
	for m := range 2 {
		if s.crashes == 0 {
			return
		}
		x := s
		x.crashes--
		x.run[m]++
		x.inc[m] = x.snap.inc[m]
		if m == 0 {
			x.k, x.kv, x.kt, x.kg, x.kn, x.ns = x.snap.k, x.snap.kv, x.snap.kt, x.snap.kg, x.snap.kn, x.snap.ns
		} else {
			x.tag = x.snap.tag
		}
		for i := range 2 {
			x.checked[i][m] = 0
			if x.pc[i] == 1 && mut != "mixedepoch" {
				x.reset(i, x.f[i], 4) // starts over
			}
		}
		e.to(x, "master %d restarts from its snapshot", m)
	}
}

func (s mastersState) write(e edges[mastersState]) {
	switch s.writer {
	case 0:
		if s.rounds == 0 {
			return
		}
		for target := range uint8(2) {
			x := s
			x.rounds--
			x.db++
			x.writer, x.wtype = 1, target
			e.to(x, "commit v%d", x.db)
		}
	case 1:
		x := s
		x.writer = 2
		if x.wtype == 0 {
			x.k, x.kv, x.kt, x.kg, x.kn = 0, 0, 0, 0, 0
		} else {
			x.tag = 0
		}
		e.to(x, "DEL of %s executed", []string{"K", "the tag"}[s.wtype])
	case 2:
		x := s
		x.floor, x.writer, x.wtype = x.db, 0, 0
		e.to(x, "Invalidate returns nil")
	}
}

// check is what node i does on a new connection to master m.
func (s mastersState) check(mut string, e edges[mastersState], i, m int) {
	x := s
	switch s.checked[i][m] {
	case 0:
		x.checked[i][m] = 1
		if x.inc[m] == x.run[m] || mut == "uncheckedtag" && m == 1 {
			x.checked[i][m] = 3
		}
		e.to(x, "node %d connects to master %d, checked: %v", i, m, x.checked[i][m] == 3)
	case 1, 2:
		x.checked[i][m]++
		if (s.checked[i][m] == 1) == (mut == "incfirst") {
			x.inc[m] = x.run[m]
			e.to(x, "node %d records the incarnation of master %d", i, m)
			return
		}
		if m == 0 || mut != "ownmaster" {
			x.ns = unused(x.ns, x.kn, x.snap.ns, x.snap.kn, x.n[0], x.n[1])
		}
		e.to(x, "node %d replaces the generations after a restart of master %d", i, m)
	}
}

func (s *mastersState) usable(i int) bool { return s.checked[i] == [2]uint8{3, 3} }

// read is an exact Get of node i.
func (s mastersState) read(mut string, e edges[mastersState], i int) {
	x := s
	switch s.pc[i] {
	case 0:
		if s.gets[i] > 0 && s.usable(i) {
			x.gets[i]--
			x.f[i] = x.floor
			x.capture(i)
			e.to(x, "node %d starts a Get and reads the generations", i)
		}
	case 4:
		if s.usable(i) {
			x.capture(i)
			e.to(x, "node %d starts over and reads the generations", i)
		}
	case 1:
		x.look(mut, e, i)
	case 2:
		x.v[i], x.pc[i] = x.db, 3
		e.to(x, "node %d loads v%d", i, x.db)
	case 3:
		if x.k == 1 && x.kt == x.t[i] && x.usable(i) {
			x.k, x.kv, x.kt, x.kg, x.kn = 2, x.v[i], 0, x.g[i], x.n[i]
		}
		x.finish(e, i, "fill")
	}
}

// look reads K and judges it with the captured generations.
func (s mastersState) look(mut string, e edges[mastersState], i int) {
	x := s
	if !x.usable(i) && mut != "mixedepoch" {
		x.v[i] = x.db
		x.finish(e, i, "direct load, a connection is gone")
		return
	}
	switch {
	case x.k == 2 && x.kg == x.g[i] && x.kn == x.n[i]:
		x.v[i] = x.kv
		x.finish(e, i, "hit")
	case x.k == 1:
		x.v[i] = x.db
		x.finish(e, i, "busy, loads itself later")
	default:
		x.k, x.kv, x.kg, x.kn = 1, 0, 0, 0
		x.kt = x.freshToken()
		x.t[i], x.pc[i] = x.kt, 2
		e.to(x, "node %d gets the lease", i)
	}
}

// capture reads the generations as they are now; a missing one is born.
func (s *mastersState) capture(i int) {
	if s.tag == 0 {
		s.tag = s.freshTag()
	}
	s.g[i], s.n[i], s.pc[i] = s.tag, s.ns, 1
}

func (s mastersState) finish(e edges[mastersState], i int, how string) {
	stale := s.v[i] < s.f[i]
	s.reset(i, 0, 0)
	if stale {
		e.bad(s, "P1: a restart undid a confirmed invalidation", "node %d returns: %s", i, how)
		return
	}
	e.to(s, "node %d returns: %s", i, how)
}

func (s *mastersState) reset(i int, floor, pc uint8) {
	s.pc[i], s.f[i], s.v[i], s.t[i], s.g[i], s.n[i] = pc, floor, 0, 0, 0, 0
}

func (s *mastersState) freshTag() uint8 {
	return unused(s.tag, s.kg, s.snap.tag, s.snap.kg, s.g[0], s.g[1])
}

func (s *mastersState) freshToken() uint8 { return unused(s.kt, s.snap.kt, s.t[0], s.t[1]) }

// unused returns the smallest number from 1 on that is not among used: ids that
// nothing refers to any more may be used again, or there would be no end of
// states.
func unused(used ...uint8) uint8 {
	for n := uint8(1); ; n++ {
		free := true
		for _, u := range used {
			free = free && u != n
		}
		if free {
			return n
		}
	}
}
