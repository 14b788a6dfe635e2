package model

// Restart from an old snapshot without a journal. Values carry the namespace
// generation; the data set holds the incarnation it belongs to. A node on a new
// connection compares that with the run id before it serves or stores; if they
// differ it replaces the generation and then sets the incarnation.
var restart = configuration{
	name: "restart", promises: "P1",
	mutants: []mutant{
		{name: "asis", rule: "a journal of the last minutes is all there is"},
		{name: "incfirst", rule: "the incarnation is set before the generation is replaced"},
		{name: "nocheck2", rule: "the second node does not check"},
		{name: "mixedepoch", rule: "a Get combines a generation from before the restart with a value from after it"},
	},
	run: func(mut string) outcome {
		step := func(s restartState, e edges[restartState]) {
			fgen := func(x *restartState) uint8 {
				for n := uint8(1); ; n++ {
					if x.kg != n && x.skg != n && x.sg != n && x.g != n && x.cg[0] != n && x.cg[1] != n {
						return n
					}
				}
			}
			x := s
			if s.snap > 0 {
				x.snap--
				x.sk, x.skv, x.skt, x.skg, x.sg, x.si = x.k, x.kv, x.kt, x.kg, x.g, x.inc
				e.to(x, "snapshot written")
			}
			if s.crash > 0 {
				x = s
				x.crash--
				x.k, x.kv, x.kt, x.kg, x.g, x.inc = x.sk, x.skv, x.skt, x.skg, x.sg, x.si
				x.run++
				x.conn = [2]uint8{}
				for i := range 2 {
					if x.pc[i] == 1 && mut != "mixedepoch" && mut != "asis" {
						x.pc[i], x.cg[i] = 5, 0 // epoch changed under a Get: it starts over
					}
				}
				e.to(x, "Redis dies and restarts from the snapshot (run id %d)", x.run)
			}
			switch s.w {
			case 0:
				if s.rounds > 0 {
					x = s
					x.rounds--
					x.db++
					x.w = 1
					e.to(x, "commit v%d", x.db)
				}
			case 1:
				x = s
				x.k, x.kv, x.kt, x.kg = 0, 0, 0, 0
				x.w = 2
				e.to(x, "DEL executed")
			case 2:
				x = s
				x.floor, x.w = x.db, 0
				e.to(x, "Invalidate returns nil")
			}
			for i := range 2 {
				x = s
				switch s.conn[i] {
				case 0:
					if x.inc == x.run || mut == "asis" || mut == "nocheck2" && i == 1 {
						x.conn[i] = 3
					} else {
						x.conn[i] = 1
					}
					e.to(x, "n%d connects, incarnation matches: %v", i, x.inc == x.run)
				case 1:
					if mut == "incfirst" {
						x.inc = x.run
						e2 := x
						e2.conn[i] = 2
						e.to(e2, "n%d sets inc", i)
					} else {
						x.g = fgen(&x)
						x.conn[i] = 2
						e.to(x, "n%d replaces the namespace generation", i)
					}
				case 2:
					if mut == "incfirst" {
						x.g = fgen(&x)
					} else {
						x.inc = x.run
					}
					x.conn[i] = 3
					e.to(x, "n%d completes the check", i)
				}
				x = s
				fin := func(l string) {
					bad := x.v[i] < x.f[i]
					x.pc[i], x.f[i], x.v[i], x.t[i], x.cg[i] = 0, 0, 0, 0, 0
					if bad {
						e.bad(x, "P1: an invalidation acknowledged before the restart is undone", "%s", l)
					} else {
						e.to(x, "%s", l)
					}
				}
				switch s.pc[i] {
				case 0:
					if s.gets[i] > 0 && s.conn[i] == 3 {
						x.gets[i]--
						x.f[i] = x.floor
						x.cg[i] = x.g
						x.pc[i] = 1
						e.to(x, "n%d Get starts, generation read", i)
					}
				case 1:
					if s.conn[i] != 3 { // connection lost meanwhile: error path
						x.v[i] = x.db
						fin("direct load")
						break
					}
					switch {
					case x.k == 2 && x.kg == x.cg[i]:
						x.v[i] = x.kv
						fin("L2 hit")
					case x.k == 1:
						x.v[i] = x.db
						fin("BUSY, later loads itself")
					default:
						n := uint8(1)
						for n == x.t[1-i] || n == x.skt || n == x.kt {
							n++
						}
						x.k, x.kv, x.kt, x.kg, x.t[i], x.pc[i] = 1, 0, n, 0, n, 3
						e.to(x, "n%d leases", i)
					}
				case 5:
					if x.conn[i] == 3 {
						x.cg[i], x.pc[i] = x.g, 1
						e.to(x, "n%d Get starts over, generation read", i)
					}
				case 3:
					x.v[i] = x.db
					x.pc[i] = 4
					e.to(x, "n%d loads v%d", i, x.db)
				case 4:
					if s.conn[i] != 3 {
						break
					}
					if x.k == 1 && x.kt == x.t[i] {
						x.k, x.kv, x.kt, x.kg = 2, x.v[i], 0, x.cg[i]
					}
					fin("fill")
				}
			}
		}
		return explore(restartState{k: 2, kg: 1, g: 1, inc: 1, run: 1, sk: 2, skg: 1, sg: 1, si: 1, snap: 1, crash: bound(mut, 2, 1), conn: [2]uint8{3, 3}, gets: [2]uint8{2, 2}, rounds: 2}, step, holds[restartState])
	},
}

type restartState struct {
	db, floor    uint8
	k, kv, kt    uint8
	kg, g, inc   uint8
	run          uint8
	sk, skv, skt uint8 // snapshot
	skg, sg, si  uint8
	snap         uint8 // snapshots left
	crash        uint8
	conn         [2]uint8 // 0 unchecked 1 saw mismatch, generation not yet deleted 2 first half done 3 checked
	pc           [2]uint8
	f, v, t, cg  [2]uint8
	gets         [2]uint8
	w, rounds    uint8
}
