package model

// Mutate: hold, commit, unhold by writer A with a crash at each step, expiry and
// eviction of the hold, a second writer that mutates too or invalidates, two
// readers that load through leases.
//
// M: if A crashes after its commit with its hold in place, nothing older than that
// commit is stored.
var mutate = configuration{
	name: "mutate", promises: "P1 M",
	mutants: []mutant{
		{name: "asis", rule: "unhold of a missing token does nothing"},
		{name: "lastdel", rule: "unhold deletes only if it removed the last token of a hold"},
		{name: "setheld", rule: "a Set replaces a hold"},
		{name: "noreplace", rule: "hold does not replace a running lease"},
		{name: "plaindel", rule: "Invalidate is a plain DEL and ends another writer's hold"},
	},
	run: func(mut string) outcome {
		step := func(s mutateState, e edges[mutateState]) {
			hold := func(x *mutateState, bit uint8) {
				if x.k == 3 {
					x.holders |= bit
				} else if !(mut == "noreplace" && x.k == 1) {
					x.k, x.kv, x.kt, x.holders = 3, 0, 0, bit
				}
			}
			unhold := func(x *mutateState, bit uint8) {
				if x.k == 3 {
					if x.holders&bit == 0 {
						if mut == "asis" || mut == "lastdel" {
							return
						}
						return // other holders remain: reads bypass, nothing can be stored
					}
					x.holders &^= bit
					if x.holders == 0 {
						x.k = 0
					}
					return
				}
				if mut == "asis" || mut == "lastdel" {
					return
				}
				x.k, x.kv, x.kt = 0, 0, 0 // the hold is gone: unhold is a DEL
			}
			type wr struct {
				pc, v *uint8
				bit   uint8
			}
			for n := range 2 {
				x := s
				w := wr{&x.wa, &x.va, 1}
				name := "A"
				if n == 1 {
					w = wr{&x.wb, &x.vb, 2}
					name = "B"
				}
				switch *w.pc {
				case 0:
					if n == 1 {
						y := x
						y.bk, y.wb = 2, 1
						e.to(y, "B begins a plain commit+Invalidate")
						x.bk = 1
					}
					hold(&x, w.bit)
					*w.pc = 1
					e.to(x, "%s hold executed", name)
				case 1:
					x.db++
					*w.v = x.db
					*w.pc = 2
					if n == 0 {
						x.heldA = !x.lostA
					}
					e.to(x, "%s commits v%d", name, x.db)
				case 2:
					if n == 1 && s.bk == 2 && s.k == 3 && mut != "plaindel" {
						// Invalidate keeps a hold: nothing can be stored under it
					} else if n == 1 && s.bk == 2 {
						x.k, x.kv, x.kt, x.holders = 0, 0, 0, 0
					} else {
						unhold(&x, w.bit)
					}
					*w.pc = 3
					e.to(x, "%s unhold/DEL executed", name)
				case 3:
					if x.floor < *w.v {
						x.floor = *w.v
					}
					*w.pc = 4
					e.to(x, "%s returns nil", name)
				}
				if n == 0 && s.crashes > 0 && (s.wa == 1 || s.wa == 2) {
					y := s
					y.crashes--
					if s.wa == 1 {
						y.wa = 7
					} else {
						y.wa = 8
					}
					e.to(y, "A crashes")
				}
			}
			if s.ev > 0 && s.k != 0 {
				x := s
				x.ev--
				x.lostA = x.lostA || s.wa == 1
				x.k, x.kv, x.kt, x.holders = 0, 0, 0, 0
				e.to(x, "K expires or is evicted")
			}
			if s.set > 0 && (mut == "setheld" || s.k != 3) {
				x := s
				x.set--
				if s.k != 3 {
					x.set = 0 // unversioned Set promises nothing outside holds: not explored further
				} else {
					x.k, x.kv, x.kt, x.holders = 2, 0, 0, 0
				}
				if x.k != s.k {
					e.to(x, "Set of the old value executed over the hold")
				}
			}
			for i := range 2 {
				x := s
				fin := func(l string) {
					bad := x.v[i] < x.f[i]
					x.pc[i], x.f[i], x.v[i], x.t[i] = 0, 0, 0, 0
					if bad {
						e.bad(x, "P1: a Get after Mutate/Invalidate returned got an older value", "%s", l)
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
					x.f[i] = x.floor
					x.pc[i] = 1
					e.to(x, "r%d starts", i)
				case 1:
					switch x.k {
					case 0:
						n := uint8(1)
						for n == x.t[1-i] {
							n++
						}
						x.k, x.kt, x.t[i], x.pc[i] = 1, n, n, 2
						e.to(x, "r%d leases", i)
					case 2:
						x.v[i] = x.kv
						fin("L2 hit")
					case 3:
						x.pc[i] = 4
						e.to(x, "r%d HELD", i)
					case 1:
						if x.pc[1-i] != 2 && x.pc[1-i] != 3 {
							break // waits for expiry
						}
					}
				case 2:
					x.v[i] = x.db
					x.pc[i] = 3
					e.to(x, "r%d loads v%d", i, x.db)
				case 3:
					if x.k == 1 && x.kt == x.t[i] {
						x.k, x.kv, x.kt = 2, x.v[i], 0
					}
					fin("fill")
				case 4:
					x.v[i] = x.db
					fin("direct load")
				}
			}
		}
		return explore(mutateState{gets: [2]uint8{3, 2}, ev: 1, crashes: 1, set: 1, k: 2}, step, func(s mutateState) string {
			if s.wa == 8 && s.heldA && s.k == 2 && s.kv < s.va {
				return "M: writer crashed after its commit with its hold in place, and an older value is stored"
			}
			return ""
		})
	},
}

type mutateState struct {
	db, floor uint8
	k, kv, kt uint8 // 0 absent 1 lease 2 value 3 hold
	holders   uint8
	wa, wb    uint8 // 0 idle 1 held 2 committed 3 done 8 crashed
	bk        uint8 // B's kind: 1 Mutate 2 Invalidate
	va, vb    uint8
	heldA     bool // A's hold was acknowledged and neither expired nor evicted before A's commit
	lostA     bool
	pc        [2]uint8
	f, v, t   [2]uint8
	gets      [2]uint8
	ev        uint8
	set       uint8 // foreign/unversioned Set of an old value left
	crashes   uint8
}
