package model

// Tracking with NOLOOP: own writes drop the registration without a push, every
// own write kills the entry and the tickets of others at its reply, and fill ends
// with a read that registers again. One key, two concurrent flights on node 0.
//
// NOLOOP has a price, measured on Redis 7.0.15: what Redis evicts while it
// executes a command of node 0, for memory or because the tracking table is
// full, drops the registration of node 0 and pushes nothing to it. A heartbeat
// therefore tells whether anything was evicted since the last one, and flushes
// before it is credited; who waits for node 0 waits for that.
var noLoop = configuration{
	name: "noloop", promises: "P3",
	mutants: []mutant{
		{name: "uncounted", rule: "evictions by own commands go unnoticed"},
		{name: "default", harmless: true, rule: "default mode without NOLOOP"},
		{name: "nokill", rule: "nothing is killed at the reply of an own DEL"},
		{name: "noreread", rule: "fill ends without a read"},
		{name: "ownlost", rule: "the reply of an own DEL is lost and nothing is poisoned"},
	},
	run: func(mut string) outcome {
		def := mut == "default"
		step := func(s noLoopState, e edges[noLoopState]) {
			mod := func(x *noLoopState, own bool) {
				if x.trk {
					x.trk = false
					if !own || def {
						x.q++
					}
				}
			}
			kill := func(x *noLoopState, except int) {
				x.lv = 0
				for i := range 2 {
					if i != except && x.tk[i] == 1 {
						x.tk[i] = 2
					}
				}
			}
			x := s
			switch s.o {
			case 0:
				if s.rounds > 0 && s.m == 0 {
					x.rounds--
					x.db++
					x.o = 1
					e.to(x, "other commits v%d", x.db)
				}
			case 1:
				if x.k != 0 {
					mod(&x, false)
				}
				x.k, x.kv, x.kt, x.o = 0, 0, 0, 2
				e.to(x, "other's DEL executed")
			case 2:
				if s.q == 0 && (!s.lost || mut == "uncounted") || !s.credit {
					x.o, x.sfl = 0, x.db
					e.to(x, "other's Strict returns")
				}
			}
			x = s
			switch s.m {
			case 0:
				if s.rounds > 0 && s.o == 0 {
					x.rounds--
					x.db++
					x.m = 1
					kill(&x, -1)
					e.to(x, "n0 commits v%d, kills, sends DEL", x.db)
				}
			case 1:
				if x.k != 0 {
					mod(&x, true)
				}
				x.k, x.kv, x.kt, x.m = 0, 0, 0, 2
				e.to(x, "n0's DEL executed")
			case 2:
				if def && s.q > 0 && s.credit {
					break
				}
				if mut != "nokill" && mut != "ownlost" {
					kill(&x, -1)
				}
				x.m, x.sfl = 0, x.db
				e.to(x, "n0's DEL reply; returns")
			}
			if s.ev > 0 && s.k == 2 {
				x = s
				x.ev--
				mod(&x, true)
				x.k, x.kv, x.kt, x.lost = 0, 0, 0, s.trk && !def
				e.to(x, "K evicted by a command of n0")
			}
			if s.of > 0 && s.k == 0 {
				x = s
				x.of--
				mod(&x, false)
				x.k, x.kv = 2, x.db
				e.to(x, "other fills v%d", x.db)
			}
			if s.q > 0 {
				x = s
				x.q--
				kill(&x, -1)
				e.to(x, "n0 handles push")
			}
			if s.credit {
				x = s
				x.credit = false
				e.to(x, "credit runs out")
			} else if s.q == 0 {
				x = s
				if x.lost && mut != "uncounted" {
					kill(&x, -1)
					x.lost = false
				}
				x.credit = true
				e.to(x, "heartbeat acknowledged")
			}
			for i := range 2 {
				x = s
				end := func(l string) {
					bad := x.v[i] < x.f[i]
					x.pc[i], x.v[i], x.t[i], x.f[i], x.tk[i], x.ok[i] = 0, 0, 0, 0, 0, false
					if bad {
						e.bad(x, "P3: old value after Strict / own Invalidate returned", "%s", l)
					} else {
						e.to(x, "%s", l)
					}
				}
				switch s.pc[i] {
				case 0:
					if s.gets[i] == 0 {
						break
					}
					x.gets[i]--
					x.f[i] = x.sfl
					if x.lv > 0 && x.credit {
						x.v[i] = x.lv - 1
						end("memory hit")
						break
					}
					x.pc[i], x.tk[i] = 1, 1
					e.to(x, "f%d Get, GET sent", i)
				case 1:
					switch x.k {
					case 2:
						x.trk = true
						x.v[i], x.pc[i] = x.kv, 2
						e.to(x, "f%d GET executed v%d", i, x.kv)
					case 0:
						n := uint8(1)
						for n == x.t[1-i] {
							n++
						}
						x.trk = true
						mod(&x, true)
						x.k, x.kt, x.t[i], x.pc[i], x.tk[i] = 1, n, n, 3, 0
						e.to(x, "f%d leases", i)
					}
				case 2:
					if x.tk[i] == 1 {
						x.lv = x.v[i] + 1
					}
					end("L2 hit kept if its ticket lives")
				case 3:
					x.v[i], x.pc[i], x.tk[i] = x.db, 4, 1
					e.to(x, "f%d loads v%d, new ticket, sends fill", i, x.db)
				case 4:
					x.trk = true // compare read
					if x.k == 1 && x.kt == x.t[i] {
						mod(&x, true)
						x.k, x.kv, x.kt = 2, x.v[i], 0
						x.trk = mut != "noreread"
						x.ok[i] = true
					}
					x.pc[i] = 5
					e.to(x, "f%d fill executed %v", i, x.ok[i])
				case 5:
					if x.ok[i] && x.tk[i] == 1 {
						x.lv = x.v[i] + 1
					}
					end("fill reply, kept if its ticket lives")
				}
			}
		}
		evictions := uint8(1)
		if def {
			evictions = 0 // pushed like all others
		}
		return explore(noLoopState{k: 2, credit: true, gets: [2]uint8{bound(mut, 3, 2), bound(mut, 2, 1)}, rounds: 2, of: 1, ev: evictions}, step, holds[noLoopState])
	},
}

type noLoopState struct {
	db, sfl     uint8
	k, kv, kt   uint8
	trk, credit bool
	q           uint8
	lv          uint8
	pc          [2]uint8 // 0 idle 1 GET sent 2 value in hand 3 leased 4 loaded 5 fill executed
	v, t, f, tk [2]uint8
	ok          [2]bool
	gets        [2]uint8
	o           uint8 // other node: 0 idle 1 committed 2 executed
	m           uint8 // own Invalidate
	rounds      uint8
	of          uint8
	ev          uint8 // evictions left
	lost        bool  // one of them was not pushed to n0, which does not know yet
}
