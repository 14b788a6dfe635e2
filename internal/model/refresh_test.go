package model

// Stale while revalidate: refills by compare-and-set on the id, Expire, and
// invalidations of K or its tag during a refresh. Two nodes that load or refresh
// (the refresher's lock may be lost), one reader, a writer with two verbs.
//
// X: after Expire has returned, no value loaded before it is served as fresh.
var refresh = configuration{
	name: "refresh", promises: "P1 P4 X",
	mutants: []mutant{
		{name: "asis", rule: "grace before generations, Expire keeps the id and leaves leases"},
		{name: "gracefirst", rule: "grace is tested before the generations"},
		{name: "expkeepid", rule: "Expire keeps the id"},
		{name: "explease", rule: "Expire leaves a lease alone"},
		{name: "refillnocas", rule: "a refill does not compare"},
		{name: "genlate", rule: "a refill's generations are captured after its load"},
	},
	run: func(mut string) outcome {
		graceFirst := mut == "asis" || mut == "gracefirst"
		keepid := mut == "asis" || mut == "expkeepid"
		keeplease := mut == "asis" || mut == "explease"
		fid := func(s *refreshState) uint8 {
			for n := uint8(1); ; n++ {
				if s.kid != n && s.t[0] != n && s.t[1] != n {
					return n
				}
			}
		}
		fgen := func(s *refreshState) uint8 {
			for n := uint8(1); ; n++ {
				if s.kg != n && s.g != n && s.cg[0] != n && s.cg[1] != n && s.rg != n && s.rtg != n {
					return n
				}
			}
		}
		step := func(s refreshState, e edges[refreshState]) {
			switch {
			case s.w == 0 && s.wl > 0:
				for op := range uint8(3) {
					x := s
					x.db++
					x.wl--
					x.w, x.wk = 1, op
					e.to(x, "writer commits v%d", x.db)
				}
			case s.w == 1:
				x := s
				x.w = 2
				switch x.wk {
				case 0:
					x.k, x.kv, x.kid, x.kg, x.stale = 0, 0, 0, 0, false
					x.inv = x.db
					e.to(x, "DEL K executed")
				case 1:
					x.g = fgen(&x)
					x.inv = x.db
					e.to(x, "DEL tag executed (recreated at next use)")
				case 2:
					if x.k == 2 {
						x.stale = true
						if !keepid {
							x.kid = fid(&x)
						}
					} else if x.k == 1 && !keeplease {
						x.k, x.kid = 0, 0
					}
					x.ef = x.db
					e.to(x, "Expire K executed")
				}
			case s.w == 2:
				x := s
				x.w, x.wk = 0, 0
				x.floor, x.efloor = x.inv, x.ef
				e.to(x, "verb returned nil")
			}
			if s.ageing > 0 && s.k == 2 && !s.stale {
				x := s
				x.ageing--
				x.stale = true
				e.to(x, "soft deadline passes")
			}
			for i := range 2 {
				x := s
				switch s.pc[i] {
				case 0:
					if s.loads == 0 {
						break
					}
					if x.k == 0 || x.k == 2 && x.kg != x.g {
						n := fid(&x)
						x.loads--
						x.k, x.kid, x.kv, x.kg, x.stale = 1, n, 0, 0, false
						x.t[i], x.cg[i], x.pc[i] = n, x.g, 1
						e.to(x, "n%d captures generation, gets the lease", i)
					} else if x.k == 2 && x.stale {
						x.loads--
						x.t[i], x.cg[i], x.pc[i] = x.kid, x.g, 5
						e.to(x, "n%d becomes refresher of the stale value", i)
					}
				case 1, 5:
					x.v[i] = x.db
					x.pc[i]++
					e.to(x, "n%d loads v%d", i, x.v[i])
				case 2:
					if x.k == 1 && x.kid == x.t[i] {
						x.k, x.kv, x.kg, x.stale = 2, x.v[i], x.cg[i], false
					}
					x.pc[i], x.t[i], x.v[i], x.cg[i] = 0, 0, 0, 0
					e.to(x, "n%d fill executed", i)
				case 6:
					if x.k == 2 && (x.kid == x.t[i]) || mut == "refillnocas" {
						if mut == "genlate" {
							x.cg[i] = x.g
						}
						x.k, x.kv, x.kg, x.stale = 2, x.v[i], x.cg[i], false
						x.kid = fid(&x)
					}
					x.pc[i], x.t[i], x.v[i], x.cg[i] = 0, 0, 0, 0
					e.to(x, "n%d refill executed", i)
				}
			}
			x := s
			done := func(v uint8, fresh bool, l string) {
				why := ""
				if v < x.rf {
					why = "P1: invalidated value served"
				} else if fresh && v < x.ref {
					why = "X: a value loaded before Expire is served as fresh"
				}
				x.rpc, x.rf, x.ref, x.rv, x.rg, x.rtg, x.rst = 0, 0, 0, 0, 0, 0, false
				if why != "" {
					e.bad(x, why, "%s", l)
				} else {
					e.to(x, "%s", l)
				}
			}
			switch s.rpc {
			case 0:
				if s.gets > 0 {
					x.gets--
					x.rpc, x.rf, x.ref = 1, x.floor, x.efloor
					e.to(x, "reader starts")
				}
			case 1:
				if x.k == 2 {
					x.rpc, x.rv, x.rg, x.rst = 2, x.kv, x.kg, x.stale
					e.to(x, "reader GET K executed")
				} else {
					x.rpc, x.rf, x.ref = 0, 0, 0
					e.to(x, "reader: nothing to serve, loads itself")
				}
			case 2:
				x.rtg, x.rpc = x.g, 3
				e.to(x, "reader reads the generation")
			case 3:
				switch {
				case graceFirst && x.rst:
					done(x.rv, false, "reader returns stale value within grace")
				case x.rg != x.rtg:
					x.rpc, x.rf, x.ref, x.rv, x.rg, x.rtg, x.rst = 0, 0, 0, 0, 0, 0, false
					e.to(x, "reader: outdated, takes over")
				case x.rst:
					done(x.rv, false, "reader returns stale value within grace")
				default:
					done(x.rv, true, "reader returns fresh value")
				}
			}
		}
		return explore(refreshState{g: 1, k: 2, kid: 1, kg: 1, wl: 2, loads: 3, gets: 1, ageing: 2}, step, func(s refreshState) string {
			if s.k == 2 && s.kg == s.g && s.kv < s.inv {
				return "P4: a value loaded before the invalidation is valid in Redis"
			}
			if s.k == 2 && s.kg == s.g && !s.stale && s.kv < s.ef {
				return "X: a value loaded before Expire is fresh in Redis"
			}
			return ""
		})
	},
}

type refreshState struct {
	db, inv, floor, ef, efloor uint8 // ef: version floor of executed Expire; efloor: of returned Expire
	k, kv, kid, kg             uint8
	stale                      bool
	g                          uint8
	pc                         [2]uint8 // 0 idle 1 captured+leased 2 loaded 5 refresher captured 6 refresher loaded
	t, v, cg                   [2]uint8
	loads                      uint8
	w, wk, wl                  uint8
	rpc, rf, ref               uint8
	rv, rg, rtg                uint8
	rst                        bool
	gets                       uint8
	ageing                     uint8
}
