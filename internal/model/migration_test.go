package model

// Atomic migration of a slot: it moves from master 0 to master 1 with all its
// keys at one instant. Node B keeps an entry of K, tracked on master 0, which
// knows nothing of writes at master 1; heartbeats to master 0 go on being
// answered because it still serves other slots. Each heartbeat therefore asks
// for the state of the topology, and a change of it ends the epoch of the
// connection.
//
// P1: a read of Redis finds nothing older than an invalidation that had been
// executed when it began. P3: after the wait for T a strict invalidation holds
// for memory hits; the wait is over when no credit from before the DEL is left.
// P4 for a fill that is under way during the migration.
var migration = configuration{
	name: "migration", promises: "P1 P3 P4",
	mutants: []mutant{
		{name: "blind", rule: "heartbeats do not look at the topology, the old master pushes nothing"},
		{name: "latepush", rule: "the old master pushes when it gets round to deleting the slot, heartbeats do not look"},
		{name: "byslot", rule: "an entry takes the credit of the connection that serves its slot now"},
		{name: "copied", rule: "the slot is copied and the old master goes on answering reads"},
		{name: "pushes", harmless: true, rule: "the old master pushes at the instant of the move, heartbeats do not look"},
	},
	run: func(mut string) outcome {
		init := migrationState{k: 2, credit: [2]uint8{2, 2}, rounds: 2, gets: 3, loads: 2}
		return explore(init, func(s migrationState, e edges[migrationState]) { s.steps(mut, e) }, func(s migrationState) string {
			if s.k == 2 && s.kv < s.executed {
				return "P4: a value loaded before the invalidation is stored"
			}
			return ""
		})
	},
}

type migrationState struct {
	db, executed, strict uint8    // versions: committed; invalidated; confirmed strictly
	k, kv, token         uint8    // the one K of the cluster: 0 absent, 1 lease, 2 value; version; token
	oldK, oldV           uint8    // what a copied slot still has at master 0
	owner                uint8    // master of the slot
	view                 uint8    // what B believes
	tracked              [2]bool  // B is registered for K
	pushes               [2]uint8 // on the wire to B
	credit               [2]uint8 // by connection: 0 none, 1 from before the last DEL, 2 newer
	unswept              bool     // latepush: master 0 has yet to delete the slot
	entry, version       uint8    // 1 + master that B's entry is registered on; its version
	ticket               bool     // of B's read under way
	read                 uint8    // 0 none, 1 sent, 2 executed
	readAt, readV        uint8    // master it was sent to; what it fetched
	floor                uint8    // what had been invalidated when it began
	gets                 uint8
	load, loadV          uint8 // another node: 0 none, 1 leased, 2 loaded; version
	loads                uint8
	writer, rounds       uint8
}

func (s migrationState) steps(mut string, e edges[migrationState]) {
	if s.owner == 0 {
		x := s
		x.move(mut)
		e.to(x, "the slot moves to master 1")
	}
	if s.unswept {
		x := s
		x.unswept = false
		x.notify(0)
		e.to(x, "master 0 deletes the slot it gave away")
	}
	s.write(e)
	s.fill(e)
	s.connections(mut, e)
	s.get(mut, e)
}

func (s *migrationState) move(mut string) {
	s.owner = 1
	switch mut {
	case "pushes":
		s.notify(0)
	case "latepush":
		s.unswept = true
	case "copied":
		s.oldK, s.oldV = s.k, s.kv
	default:
		s.tracked[0] = false
	}
}

// notify pushes to B if it is registered at master m.
func (s *migrationState) notify(m uint8) {
	if s.tracked[m] {
		s.tracked[m] = false
		s.pushes[m]++
	}
}

func (s migrationState) write(e edges[migrationState]) {
	x := s
	switch s.writer {
	case 0:
		if s.rounds > 0 {
			x.rounds--
			x.db++
			x.writer = 1
			e.to(x, "commit v%d", x.db)
		}
	case 1:
		x.k, x.kv, x.token = 0, 0, 0
		x.notify(x.owner)
		x.executed, x.writer = x.db, 2
		for m := range x.credit {
			x.credit[m] = min(x.credit[m], 1)
		}
		e.to(x, "DEL executed at master %d", x.owner)
	case 2:
		if s.credit[0] != 1 && s.credit[1] != 1 {
			x.strict, x.writer = x.db, 0
			e.to(x, "T has passed: Strict returns")
		}
	}
}

// fill is another node that loads through a lease, which moves with the slot.
func (s migrationState) fill(e edges[migrationState]) {
	x := s
	switch s.load {
	case 0:
		if s.loads > 0 && s.k == 0 {
			x.loads--
			x.token = x.loads + 1
			x.k, x.load = 1, 1
			x.notify(x.owner)
			e.to(x, "another node gets the lease at master %d", x.owner)
		}
	case 1:
		x.loadV, x.load = x.db, 2
		e.to(x, "it loads v%d", x.db)
	case 2:
		if x.k == 1 && x.token == x.loads+1 {
			x.k, x.kv, x.token = 2, x.loadV, 0
			x.notify(x.owner)
		}
		x.load, x.loadV = 0, 0
		e.to(x, "its fill is executed at master %d, redirected if need be", x.owner)
	}
}

// connections is what B does with pushes and heartbeats.
func (s migrationState) connections(mut string, e edges[migrationState]) {
	looks := mut != "blind" && mut != "latepush" && mut != "pushes"
	for m := range uint8(2) {
		if s.pushes[m] > 0 {
			x := s
			x.pushes[m]--
			x.forget(m)
			e.to(x, "B handles a push of master %d", m)
		} else if s.credit[m] < 2 {
			x := s
			if looks && m == 0 && x.owner != x.view {
				x.view = x.owner
				x.tracked[0] = false
				x.forget(0)
			}
			x.credit[m] = 2
			e.to(x, "B's heartbeat to master %d is acknowledged", m)
		}
		if s.credit[m] > 0 {
			x := s
			x.credit[m] = 0
			e.to(x, "B's credit of master %d runs out", m)
		}
	}
}

// forget drops what is registered on master m.
func (s *migrationState) forget(m uint8) {
	if s.entry == m+1 {
		s.entry, s.version = 0, 0
	}
	if s.readAt == m {
		s.ticket = false
	}
}

// get is a Get of B within T.
func (s migrationState) get(mut string, e edges[migrationState]) {
	x := s
	switch s.read {
	case 0:
		if s.entry != 0 && s.version < s.strict {
			at := s.entry - 1
			if mut == "byslot" {
				at = s.owner
			}
			if s.credit[at] > 0 {
				e.bad(s, "P3: memory hit with an old value after Strict returned", "B hits memory by the credit of master %d", at)
				return
			}
		}
		if s.gets > 0 {
			x.gets--
			x.read, x.readAt, x.ticket, x.floor = 1, x.view, true, x.executed
			e.to(x, "B sends a read to master %d", x.view)
		}
	case 1:
		s.execute(mut, e)
	case 2:
		if s.ticket {
			x.entry, x.version = x.readAt+1, x.readV
		}
		x.read, x.readAt, x.readV, x.ticket, x.floor = 0, 0, 0, false, 0
		e.to(x, "B keeps v%d: %v", s.readV, s.ticket)
	}
}

// execute is the server's side of B's read.
func (s migrationState) execute(mut string, e edges[migrationState]) {
	x := s
	if s.readAt != s.owner && mut != "copied" {
		x.view = s.owner // MOVED
		x.tracked[0] = false
		x.forget(0)
		x.read, x.readAt, x.ticket, x.floor = 0, 0, false, 0
		e.to(x, "B is told that the slot has moved, it starts over")
		return
	}
	k, v := s.k, s.kv
	if s.readAt != s.owner {
		k, v = s.oldK, s.oldV
	}
	if k != 2 {
		x.read, x.readAt, x.ticket, x.floor = 0, 0, false, 0
		e.to(x, "B finds nothing")
		return
	}
	if v < s.floor {
		e.bad(x, "P1: a read of Redis found what had been invalidated", "B's read is executed at master %d: v%d", s.readAt, v)
		return
	}
	x.read, x.readV = 2, v
	x.tracked[s.readAt] = true
	e.to(x, "B's read is executed at master %d: v%d", s.readAt, v)
}
