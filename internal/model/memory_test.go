package model

// Tags and the memory tier: node 0 keeps an entry of K, tracked on shard 0, and a
// copy of its tag's generation, tracked on shard 1, each with its own pushes,
// ticket, heartbeat credit and connection. Node 1 only loads. The writer
// invalidates K or the tag strictly; waiting for T is abstracted as: on the shard
// in question node 0 has no undelivered push or no credit.
var tagsInMemory = configuration{
	name: "tags in memory", promises: "P1 P2 P3",
	mutants: []mutant{
		{name: "oneshard", rule: "the evidence of an entry is that of K's shard alone"},
		{name: "copyev", rule: "an exact read judges with a copy of the generation"},
		{name: "notagtick", rule: "copies of generations are kept without a ticket"},
		{name: "noflushtag", rule: "losing the tag's connection keeps the copies"},
		{name: "hb", rule: "a heartbeat is credited before the pushes ahead of it"},
	},
	run: func(mut string) outcome {
		fg := func(s *tagsInMemoryState) uint8 {
			for n := uint8(1); ; n++ {
				if s.g != n && s.kg != n && s.lg != n && s.cg != n && s.rg != n && s.rt != n && s.n1g != n {
					return n
				}
			}
		}
		mod := func(s *tagsInMemoryState, sh int) {
			if s.trk[sh] {
				s.trk[sh] = false
				s.q[sh]++
			}
		}
		step := func(s tagsInMemoryState, e edges[tagsInMemoryState]) {
			switch s.w {
			case 0:
				if s.wl > 0 {
					for t := range uint8(2) {
						x := s
						x.db++
						x.wl--
						x.w, x.wx = 1, t
						e.to(x, "commit v%d", x.db)
					}
				}
			case 1:
				x := s
				if x.wx == 0 {
					if x.k != 0 {
						mod(&x, 0)
					}
					x.k, x.kv, x.kg = 0, 0, 0
				} else {
					if x.g != 0 {
						mod(&x, 1)
					}
					x.g = 0
				}
				x.w = 2
				e.to(x, "DEL %s executed", []string{"K", "tag"}[x.wx])
			case 2:
				x := s
				x.floor = x.db
				x.w = 3
				e.to(x, "reply of the DEL: exact promise from here")
			case 3:
				if s.q[s.wx] == 0 || !s.credit[s.wx] {
					x := s
					x.sfloor = x.db
					x.w, x.wx = 0, 0
					e.to(x, "Strict returns")
				}
			}
			if s.ev > 0 {
				if s.k != 0 {
					x := s
					x.ev--
					mod(&x, 0)
					x.k, x.kv, x.kg = 0, 0, 0
					e.to(x, "K evicted")
				}
				if s.g != 0 {
					x := s
					x.ev--
					mod(&x, 1)
					x.g = 0
					e.to(x, "generation evicted")
				}
			}
			for sh := range 2 {
				if s.q[sh] > 0 {
					x := s
					x.q[sh]--
					if sh == 0 {
						x.lv, x.lg = 0, 0
						if x.tkK == 1 {
							x.tkK = 2
						}
					} else {
						x.cg = 0
						if x.tkT == 1 {
							x.tkT = 2
						}
					}
					e.to(x, "n0 handles push on shard%d", sh)
				}
				if s.credit[sh] {
					x := s
					x.credit[sh] = false
					e.to(x, "n0 credit of shard%d runs out", sh)
				} else if s.q[sh] == 0 || mut == "hb" {
					x := s
					x.credit[sh] = true
					e.to(x, "n0 heartbeat of shard%d acknowledged", sh)
				}
				if s.cut[sh] > 0 {
					x := s
					x.cut[sh]--
					x.q[sh], x.trk[sh] = 0, false
					if sh == 0 {
						x.lv, x.lg = 0, 0
						if x.tkK == 1 {
							x.tkK = 2
						}
						x.credit[0] = false
					} else if mut != "noflushtag" {
						x.cg = 0
						if x.tkT == 1 {
							x.tkT = 2
						}
						x.credit[1] = false
					}
					e.to(x, "n0 loses connection to shard%d", sh)
				}
			}
			// node 1: L2 loader
			{
				x := s
				switch s.n1 {
				case 0:
					if s.n1l > 0 && (s.k == 0 || s.k == 2 && s.kg != s.g) {
						if x.g == 0 {
							x.g = fg(&x) // creating: nil reads were tracked
							mod(&x, 1)
						}
						x.n1l--
						mod(&x, 0)
						x.k, x.kv, x.kg = 1, 0, 0
						x.n1, x.n1g = 1, x.g
						e.to(x, "n1 leases K")
					}
				case 1:
					x.n1v, x.n1 = x.db, 2
					e.to(x, "n1 loads v%d", x.db)
				case 2:
					if x.k == 1 {
						mod(&x, 0)
						x.k, x.kv, x.kg = 2, x.n1v, x.n1g
					}
					x.n1, x.n1v, x.n1g = 0, 0, 0
					e.to(x, "n1 fill executed")
				}
			}
			// node 0 reader
			x := s
			end := func(v uint8, l string) {
				why := ""
				if v < x.f {
					why = "P3: strict promise broken for a D=T Get"
					if x.exact {
						why = "P1: exact Get returned an invalidated value"
					}
				}
				x.pc, x.exact, x.todo, x.f, x.rk, x.rv, x.rg, x.rt, x.tkK, x.tkT, x.fromcopy = 0, false, 0, 0, 0, 0, 0, 0, 0, 0, false
				if why != "" {
					e.bad(x, why, "%s", l)
				} else {
					e.to(x, "%s", l)
				}
			}
			switch s.pc {
			case 0:
				if s.gets == 0 {
					break
				}
				for _, ex := range []bool{false, true} {
					x = s
					x.gets--
					x.exact = ex
					x.f = x.sfloor
					if ex {
						x.f = x.floor
					}
					cred1 := x.credit[1] || mut == "oneshard"
					if !ex && x.lv > 0 && x.cg != 0 && x.cg == x.lg && x.credit[0] && cred1 {
						end(x.lv-1, "n0 memory hit (D=T)")
						continue
					}
					x.pc, x.tkK = 1, 1
					x.todo = 1
					if x.cg != 0 && (!ex && cred1 || mut == "copyev") {
						x.rt, x.fromcopy = x.cg, true
					} else {
						x.todo = 3
						x.tkT = 1
					}
					e.to(x, "n0 starts Get exact=%v, reads from Redis (generation from memory copy: %v)", ex, x.fromcopy)
				}
			case 1:
				if s.todo&1 != 0 {
					x.todo &^= 1
					x.rk, x.rv, x.rg = x.k, x.kv, x.kg
					x.trk[0] = true
					e.to(x, "n0 GET K executed")
				}
				if s.todo&2 != 0 {
					x = s
					x.todo &^= 2
					if x.g == 0 {
						x.g = fg(&x)
						mod(&x, 1)
					}
					x.rt = x.g
					x.trk[1] = true
					e.to(x, "n0 generation read")
				}
				if s.todo == 0 {
					if x.tkT == 1 || mut == "notagtick" && x.tkT == 2 {
						x.cg = x.rt
					}
					if x.rk == 2 && x.rg == x.rt {
						if x.tkK == 1 {
							x.lv, x.lg = x.rv+1, x.rg
						}
						end(x.rv, "n0 L2 hit, kept in memory if its tickets live")
					} else {
						x.pc, x.exact, x.todo, x.f, x.rk, x.rv, x.rg, x.rt, x.tkK, x.tkT, x.fromcopy = 0, false, 0, 0, 0, 0, 0, 0, 0, 0, false
						e.to(x, "n0 miss, loads itself")
					}
				}
			}
		}
		return explore(tagsInMemoryState{k: 2, kg: 1, g: 1, gets: bound(mut, 3, 2), wl: bound(mut, 2, 1), ev: bound(mut, 1, 0), n1l: 1, cut: [2]uint8{1, 1}, credit: [2]bool{true, true}}, step, holds[tagsInMemoryState])
	},
}

type tagsInMemoryState struct {
	db, floor, sfloor uint8
	k, kv, kg, g      uint8
	q, cut            [2]uint8
	trk, credit       [2]bool
	lv, lg            uint8 // entry: value+1, generation
	cg                uint8 // copy of the generation (0 none)
	pc                uint8 // reader n0: 0 idle, 1 reading, 2 judged
	exact             bool
	todo              uint8
	f                 uint8
	rk, rv, rg, rt    uint8
	tkK, tkT          uint8 // tickets: 1 alive 2 dead
	fromcopy          bool
	gets              uint8
	n1, n1v, n1g      uint8
	n1l               uint8
	w, wx, wl         uint8
	ev                uint8
}
