package model

// Loads that store nothing, because Redis is away: their evidence is their own
// start. Discrete time, T = 3 ticks. Exact Gets may share one that began at or
// after their start, others may use the kept result within T, and a link that
// comes back must not credit it.
var directLoad = configuration{
	name: "direct load", promises: "P1 P2 P3",
	mutants: []mutant{
		{name: "endev", rule: "the evidence is the end of the load"},
		{name: "sharelate", rule: "exact Gets join after the start of the load"},
		{name: "credit", rule: "heartbeats credit what was never registered"},
		{name: "heldkeep", rule: "a load under HoldOff, which may read a lagging replica, is kept"},
		{name: "clockeq", rule: "joins are decided by clock readings, which may be equal"},
	},
	run: func(mut string) outcome {
		const T = 3
		step := func(s directLoadState, e edges[directLoadState]) {
			x := s
			if s.now < bound(mut, 13, 10) {
				x.now++
				e.to(x, "tick %d", x.now)
			}
			x = s
			switch s.w {
			case 0:
				x.db++
				x.w = 1
				e.to(x, "commit v%d", x.db)
			case 1:
				x.w, x.at = 2, x.now
				e.to(x, "DEL executed at %d", x.now)
			case 2:
				x.w, x.at, x.fl = 3, x.now, x.db
				e.to(x, "Invalidate returns at %d", x.now)
			case 3:
				if s.now > s.at+T {
					x.sfl, x.w = x.db, 4
					e.to(x, "Strict returns at %d", x.now)
				}
			case 4:
				if x.db < 2 {
					x.w = 0
					e.to(x, "next round")
				}
			}
			if !s.link {
				x = s
				x.link = true
				e.to(x, "link restored, heartbeats acknowledged")
			}
			x = s
			switch s.ld {
			case 0:
				x.ld, x.ls = 1, x.now
				x.jent = x.j
				e.to(x, "direct load starts at %d", x.now)
			case 1:
				x.ld, x.lv = 2, x.db
				if mut == "heldkeep" && x.db > 0 {
					y := x
					y.lv = y.db - 1
					e.to(y, "load under HoldOff reads lagging v%d", y.lv)
				}
				e.to(x, "load reads v%d", x.lv)
			case 2:
				x.kept, x.kv, x.ke = true, x.lv, int8(x.ls)
				if mut == "endev" {
					x.ke = int8(x.now)
				}
				sh := x.j && (x.jent || mut == "sharelate" || mut == "clockeq" && x.ls >= x.js)
				bad := sh && x.kv < x.jf
				if sh {
					x.j, x.jf, x.js, x.jent = false, 0, 0, false
				}
				x.ld, x.ls, x.lv = 0, 0, 0
				if bad {
					e.bad(x, "P1: exact Get got a value loaded before an invalidation that had returned", "load ends, shared")
				} else {
					e.to(x, "load ends")
				}
			}
			if !s.j {
				x = s
				x.j, x.jf, x.js, x.jent = true, x.fl, x.now, false
				e.to(x, "exact Get starts at %d, waits for a load", x.now)
			}
			if s.kept {
				if s.ke >= int8(s.now)-T || mut == "credit" && s.link {
					if s.kv < s.sfl {
						e.bad(s, "P3: kept value older than a Strict invalidation that had returned", "D=T Get at %d", s.now)
					}
					if s.w == 3 && s.kv < s.db && s.now > s.at+T || s.w == 2 && s.kv < s.db && s.now > s.at+T {
						e.bad(s, "P2: value invalid for more than T", "D=T Get at %d", s.now)
					}
				} else {
					x = s
					x.kept, x.kv, x.ke = false, 0, 0
					e.to(x, "kept value too old, dropped")
				}
			}
		}
		return explore(directLoadState{}, step, holds[directLoadState])
	},
}

type directLoadState struct {
	now     uint8
	db      uint8
	w       uint8 // 0 idle 1 committed 2 executed 3 returned(waiting) 4 strict returned
	at      uint8 // time of execution / reply
	fl, sfl uint8
	ld      uint8 // 0 none 1 started 2 read
	ls, lv  uint8
	kept    bool
	kv      uint8
	ke      int8
	j       bool
	jf, js  uint8
	jent    bool // the load started after the Get joined (order, not clock)
	link    bool
}
