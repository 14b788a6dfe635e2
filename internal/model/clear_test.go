package model

// Clear over a striped namespace generation: nil when every stripe is confirmed.
// Two entries, one for each stripe; loaders of an older program that write no pair
// for the tag; a foreign program that SETs a bare value.
var clearing = configuration{
	name: "clear", promises: "P1",
	mutants: []mutant{
		{name: "asis", rule: "an entry without a pair for a declared tag is accepted"},
		{name: "onestripe", rule: "nil after the first stripe"},
		{name: "genlate", rule: "the pair is captured after the load"},
	},
	run: func(mut string) outcome {
		step := func(s clearingState, e edges[clearingState]) {
			fg := func(x *clearingState, i int) uint8 {
				for n := uint8(1); ; n++ {
					if x.g[i] != n && x.kg[i] != n && x.cg[i] != n && x.rg != n {
						return n
					}
				}
			}
			ens := func(x *clearingState, i int) uint8 {
				if x.g[i] == 0 {
					x.g[i] = fg(x, i)
				}
				return x.g[i]
			}
			x := s
			switch s.w {
			case 0:
				x.db++
				x.w = 1
				e.to(x, "commit v%d, Clear starts", x.db)
			case 1:
				for i := range 2 {
					if !s.del[i] {
						x = s
						x.del[i] = true
						x.g[i] = 0
						e.to(x, "stripe %d deleted", i)
					}
				}
				if s.del[0] && s.del[1] || mut == "onestripe" && (s.del[0] || s.del[1]) {
					x = s
					x.w, x.floor = 2, x.db
					e.to(x, "Clear returns nil")
				}
			}
			if s.foreign > 0 {
				for i := range 2 {
					x = s
					x.foreign--
					x.k[i], x.kv[i], x.kt[i], x.kg[i] = 2, x.db, 0, 0
					e.to(x, "foreign program SETs key%d to v%d", i, x.db)
				}
			}
			for i := range 2 {
				x = s
				switch s.pc[i] {
				case 0:
					if s.loads[i] > 0 && (s.k[i] == 0 || s.k[i] == 2 && s.kg[i] != s.g[i]) {
						for _, o := range []bool{false, true} {
							x = s
							x.loads[i]--
							x.old[i] = o
							if !o {
								x.cg[i] = ens(&x, i)
							}
							x.t[i]++
							x.k[i], x.kv[i], x.kt[i], x.kg[i], x.pc[i] = 1, 0, x.t[i], 0, 1
							e.to(x, "loader of key%d (old version %v) captures, leases", i, o)
						}
					}
				case 1:
					x.v[i], x.pc[i] = x.db, 2
					e.to(x, "key%d loaded v%d", i, x.db)
				case 2:
					if x.k[i] == 1 && x.kt[i] == x.t[i] {
						if mut == "genlate" && !x.old[i] {
							x.cg[i] = ens(&x, i)
						}
						x.k[i], x.kv[i], x.kt[i], x.kg[i] = 2, x.v[i], 0, x.cg[i]
					}
					x.pc[i], x.v[i], x.cg[i], x.old[i] = 0, 0, 0, false
					e.to(x, "key%d fill executed", i)
				}
			}
			x = s
			switch s.rpc {
			case 0:
				if s.gets > 0 {
					for i := range 2 {
						x = s
						x.gets--
						x.rpc, x.rk, x.rf = 1, uint8(i), x.floor
						e.to(x, "reader starts on key%d", i)
					}
				}
			case 1:
				x.rg = ens(&x, int(x.rk))
				x.rpc = 2
				e.to(x, "reader reads stripe %d", x.rk)
			case 2:
				i := x.rk
				acc := x.k[i] == 2 && (x.kg[i] == x.rg || x.kg[i] == 0 && mut == "asis")
				bad := acc && x.kv[i] < x.rf
				x.rpc, x.rk, x.rf, x.rv, x.rg = 0, 0, 0, 0, 0
				if bad {
					e.bad(x, "P1: a value loaded before Clear is served after it", "reader GET key%d", i)
				} else {
					e.to(x, "reader GET key%d (accepted %v)", i, acc)
				}
			}
		}
		return explore(clearingState{g: [2]uint8{1, 1}, k: [2]uint8{2, 2}, kg: [2]uint8{1, 1}, loads: [2]uint8{2, 2}, gets: 2, foreign: 1}, step, holds[clearingState])
	},
}

type clearingState struct {
	db, floor  uint8
	g          [2]uint8
	k, kv, kt  [2]uint8
	kg         [2]uint8
	w          uint8
	del        [2]bool
	pc         [2]uint8
	old        [2]bool
	v, t, cg   [2]uint8
	loads      [2]uint8
	foreign    uint8
	rpc, rk    uint8
	rf, rv, rg uint8
	gets       uint8
}
