package model

// Who refreshes a stale value: the lock beside K, taken together with a second
// look. Two nodes that find K stale and load it; the lock may be lost once, K may
// be invalidated, and the new value turns stale as well.
//
// A load is needless if the value it replaces was replaced already, or is being
// loaded by the other node, although no lock was lost.
var refresher = configuration{
	name: "refresher", promises: "P5",
	mutants: []mutant{
		{name: "nolock", rule: "a stale value is loaded without a lock"},
		{name: "nolook", rule: "who gets the lock does not look again"},
		{name: "lookfirst", rule: "the second look is sent before the request for the lock"},
		{name: "early", rule: "the lock is released before the refill"},
	},
	run: func(mut string) outcome {
		step := func(s refresherState, e edges[refresherState]) {
			if s.lock != 0 && s.losses > 0 {
				x := s
				x.losses--
				x.lock, x.lost = 0, true
				e.to(x, "the lock is evicted")
			}
			if s.dels > 0 {
				x := s
				x.dels--
				x.id, x.next, x.loads, x.stale, x.excused = s.next, s.next+1, 0, false, true
				e.to(x, "K is invalidated, loaded and stored as id %d", x.id)
			}
			if !s.stale && s.ageing > 0 {
				x := s
				x.ageing--
				x.stale = true
				e.to(x, "soft deadline of id %d passes", s.id)
			}
			for i := range 2 {
				s.act(i, mut, e)
			}
		}
		return explore(refresherState{id: 1, next: 2, stale: true, losses: 1, dels: 1, ageing: 1, reads: [2]uint8{3, 3}}, step,
			func(refresherState) string { return "" })
	},
}

// act is one step of node i.
func (s refresherState) act(i int, mut string, e edges[refresherState]) {
	x, me := s, uint8(i+1)
	switch s.pc[i] {
	case 0:
		if s.reads[i] > 0 && s.stale {
			x.reads[i]--
			x.seen[i], x.pc[i] = s.id, 1
			switch mut {
			case "nolock":
				x.pc[i] = 3
			case "lookfirst":
				x.pc[i] = 6
			}
			e.to(x, "n%d finds id %d stale", i, s.id)
		}
	case 6:
		x.pc[i] = 1
		if s.id != s.seen[i] {
			x.pc[i] = 0
		}
		e.to(x, "n%d looks again", i)
	case 1:
		switch {
		case s.lock != 0:
			x.pc[i] = 0
			e.to(x, "n%d: the lock is taken, serves what it has", i)
		default:
			x.lock, x.pc[i] = me, 2
			if mut == "nolook" || mut == "lookfirst" {
				x.pc[i] = 3
			}
			e.to(x, "n%d gets the lock", i)
		}
	case 2:
		if x.pc[i] = 3; s.id != s.seen[i] {
			x.pc[i] = 5
		}
		e.to(x, "n%d looks at K behind its lock", i)
	case 3:
		x.pc[i] = 4
		needless := s.id != s.seen[i] || s.loads > 0
		if x.loads++; needless && !s.lost && !s.excused {
			e.bad(x, "P5: a load that nobody needs", "n%d loads to replace id %d", i, s.seen[i])
			return
		}
		if mut == "early" && s.lock == me {
			x.lock = 0
		}
		e.to(x, "n%d loads to replace id %d", i, s.seen[i])
	case 4:
		if s.id == s.seen[i] {
			x.id, x.next, x.loads, x.stale = s.next, s.next+1, 0, false
		}
		x.pc[i] = 5
		e.to(x, "n%d refill executed", i)
	case 5:
		if s.lock == me {
			x.lock = 0
		}
		x.pc[i], x.seen[i] = 0, 0
		e.to(x, "n%d releases the lock", i)
	}
}

type refresherState struct {
	id, next, loads uint8 // loads: begun to replace id
	stale           bool
	lock            uint8 // 0 none, else its node + 1
	lost, excused   bool  // a lock was lost, K was invalidated: one more load is allowed
	pc              [2]uint8
	seen, reads     [2]uint8
	losses, dels    uint8
	ageing          uint8
}
