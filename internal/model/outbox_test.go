package model

// Outbox: a transaction commits its change together with a row; a relay
// executes the invalidation of each row and then removes the row. Two writers
// on one key take the numbers of their rows before they commit, in any order;
// writers and the relay may crash at every step; the invalidation may be lost
// on its way. A crashed relay is replaced by one that begins anew.
//
// O: when the row of a committed change is gone, nothing older than that
// change is stored in Redis. And no change is forgotten: a committed change
// whose invalidation was not executed still has its row.
var outbox = configuration{
	name: "outbox", promises: "O",
	mutants: []mutant{
		{name: "rowfirst", rule: "the row is visible before the change commits"},
		{name: "rowlater", rule: "the row is written by a second transaction"},
		{name: "removefirst", rule: "the relay removes the row before it invalidates"},
		{name: "unconfirmed", rule: "the relay removes the row although nothing was confirmed"},
		{name: "cursor", rule: "the relay remembers the highest number instead of removing rows"},
		{name: "twice", harmless: true, rule: "two relays work on the same rows"},
	},
	run: func(mut string) outcome {
		init := outboxState{k: 2, crashes: 2, losses: 1, loads: 2}
		return explore(init, func(s outboxState, e edges[outboxState]) { s.steps(mut, e) }, outboxState.forgotten)
	},
}

type outboxState struct {
	db, k, kv uint8 // committed version; entry: 0 absent, 1 lease, 2 value; its version
	lease     bool  // the lease is that of the present load
	writer    [2]outboxWriter
	numbers   uint8 // handed out so far
	cursor    uint8
	relay     [2]outboxRelay
	crashes   uint8
	losses    uint8
	load, v   uint8 // 0 none, 1 leased, 2 loaded
	loads     uint8
}

type outboxWriter struct {
	pc      uint8 // 0 idle, 1 in its transaction, 2 committed; rowlater: 4 before its row, 3 crashed there
	number  uint8 // of its row
	row     bool  // visible
	version uint8
	cleared bool // an invalidation was executed after its commit
}

type outboxRelay struct {
	pc  uint8 // 0 idle, 1 has read a row, 2 invalidated it, 3 removed it (removefirst)
	row uint8 // the writer it belongs to
}

// forgotten is the invariant.
func (s outboxState) forgotten() string {
	for i, w := range s.writer {
		switch {
		case w.version == 0 || w.pc == 4 || s.waiting(i):
		case !w.cleared:
			return "O: a committed change has neither row nor invalidation"
		case s.k == 2 && s.kv < w.version:
			return "O: a value older than a change whose row is gone is stored"
		}
	}
	return ""
}

// waiting reports whether the row of a writer will still be worked on.
func (s *outboxState) waiting(writer int) bool {
	for _, r := range s.relay {
		if r.pc != 0 && int(r.row) == writer {
			return true
		}
	}
	return s.writer[writer].row && s.writer[writer].number > s.cursor
}

func (s outboxState) steps(mut string, e edges[outboxState]) {
	for i := range s.writer {
		s.write(mut, e, i)
	}
	relays := 1
	if mut == "twice" {
		relays = 2
	}
	for i := range relays {
		s.relayRow(mut, e, i)
	}
	s.fill(e)
}

func (s outboxState) write(mut string, e edges[outboxState], i int) {
	x := s
	w := &x.writer[i]
	switch w.pc {
	case 0:
		x.numbers++
		w.pc, w.number = 1, x.numbers
		w.row = mut == "rowfirst"
		e.to(x, "writer %d begins, its row has number %d", i, w.number)
	case 1:
		x.db++
		w.version = x.db
		w.pc = 2
		w.row = w.row || mut != "rowlater" && mut != "rowfirst"
		if mut == "rowlater" {
			w.pc = 4
		}
		e.to(x, "writer %d commits v%d", i, x.db)
	case 4: // between its two transactions
		w.pc, w.row = 2, true
		e.to(x, "writer %d writes its row", i)
		if s.crashes > 0 {
			y := s
			y.crashes--
			y.writer[i].pc = 3
			e.to(y, "writer %d crashes", i)
		}
	}
}

// relayRow is one step of relay i.
func (s outboxState) relayRow(mut string, e edges[outboxState], i int) {
	r := s.relay[i]
	if r.pc != 0 && s.crashes > 0 {
		y := s
		y.crashes--
		y.relay[i] = outboxRelay{}
		e.to(y, "relay %d crashes and begins anew", i)
	}
	switch r.pc {
	case 0:
		for w := range s.writer {
			if s.writer[w].row && s.writer[w].number > s.cursor {
				x := s
				x.relay[i] = outboxRelay{pc: 1, row: uint8(w)}
				e.to(x, "relay %d reads row %d", i, s.writer[w].number)
			}
		}
	case 1:
		x := s
		if mut == "removefirst" {
			x.remove(i, mut)
			x.relay[i].pc = 3
			e.to(x, "relay %d removes the row", i)
			return
		}
		s.invalidate(mut, e, i, 2)
	case 2:
		x := s
		x.remove(i, mut)
		x.relay[i] = outboxRelay{}
		e.to(x, "relay %d removes the row", i)
	case 3:
		s.invalidate(mut, e, i, 9)
	}
}

// invalidate executes the DEL; a relay that goes on to 9 is done.
func (s outboxState) invalidate(mut string, e edges[outboxState], i int, next uint8) {
	if s.losses > 0 {
		y := s
		y.losses--
		if mut == "unconfirmed" {
			y.relay[i].pc = 2
		}
		e.to(y, "relay %d: the DEL is lost", i)
	}
	x := s
	x.k, x.kv, x.lease = 0, 0, false
	for w := range x.writer {
		if x.writer[w].version != 0 {
			x.writer[w].cleared = true
		}
	}
	x.relay[i].pc = next
	if next == 9 {
		x.relay[i] = outboxRelay{}
	}
	e.to(x, "relay %d: DEL executed and confirmed", i)
}

func (s *outboxState) remove(i int, mut string) {
	w := &s.writer[s.relay[i].row]
	if mut == "cursor" {
		s.cursor = max(s.cursor, w.number)
		return
	}
	w.row = false
}

// fill is a node that loads through leases.
func (s outboxState) fill(e edges[outboxState]) {
	x := s
	switch s.load {
	case 0:
		if s.loads > 0 && s.k == 0 {
			x.loads--
			x.k, x.lease, x.load = 1, true, 1
			e.to(x, "a Get gets the lease")
		}
	case 1:
		x.v, x.load = x.db, 2
		e.to(x, "it loads v%d", x.db)
	case 2:
		if x.k == 1 && x.lease {
			x.k, x.kv, x.lease = 2, x.v, false
		}
		x.load, x.v = 0, 0
		e.to(x, "fill executed")
	}
}
