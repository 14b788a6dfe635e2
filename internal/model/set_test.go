package model

// Set with a source version against leases, invalidations and other Sets; it may
// be executed arbitrarily late. The version is the number of the commit.
var set = configuration{
	name: "set", promises: "P1 P4",
	mutants: []mutant{
		{name: "asis", rule: "Set with a version writes on absence and over a lease"},
		{name: "leavelease", rule: "Set with a version leaves a lease alone"},
		{name: "gte", harmless: true, rule: "an equal version is replaced too"},
		{name: "noversion", rule: "Set without a version counts as if it promised something"},
	},
	run: func(mut string) outcome {
		step := func(s setState, e edges[setState]) {
			x := s
			switch s.sw {
			case 0:
				if s.sr > 0 {
					x.sr--
					x.db++
					x.sv, x.sw = x.db, 1
					e.to(x, "S commits v%d", x.db)
				}
			case 1:
				x.sw = 2
				switch {
				case mut == "noversion":
					x.k, x.kv, x.kt = 2, x.sv, 0
				case x.k == 2 && (x.kv < x.sv || mut == "gte" && x.kv == x.sv):
					x.kv = x.sv
				case x.k == 2:
				case mut == "asis":
					x.k, x.kv, x.kt = 2, x.sv, 0
				case x.k == 1 && mut == "leavelease":
				case x.k == 1:
					x.k, x.kt = 0, 0
				}
				e.to(x, "Set(v%d) executed", x.sv)
			case 2:
				x.floor = max(x.floor, x.sv)
				x.sw, x.sv = 0, 0
				e.to(x, "Set returned nil")
			}
			x = s
			switch s.vw {
			case 0:
				if s.vr > 0 {
					x.vr--
					x.db++
					x.vv, x.vw = x.db, 1
					e.to(x, "V commits v%d", x.db)
				}
			case 1:
				x.k, x.kv, x.kt = 0, 0, 0
				x.inv = max(x.inv, x.vv)
				x.vw = 2
				e.to(x, "DEL executed")
			case 2:
				x.floor = max(x.floor, x.vv)
				x.vw, x.vv = 0, 0
				e.to(x, "Invalidate returned nil")
			}
			if s.ev > 0 && s.k != 0 {
				x = s
				x.ev--
				x.k, x.kv, x.kt = 0, 0, 0
				e.to(x, "K evicted")
			}
			for i := range 2 {
				x = s
				fin := func(l string) {
					bad := x.v[i] < x.f[i]
					x.pc[i], x.f[i], x.v[i], x.t[i] = 0, 0, 0, 0
					if bad {
						e.bad(x, "P1: a Get after Set/Invalidate returned got an older version", "%s", l)
					} else {
						e.to(x, "%s", l)
					}
				}
				switch s.pc[i] {
				case 0:
					if s.gets[i] > 0 {
						x.gets[i]--
						x.f[i], x.pc[i] = x.floor, 1
						e.to(x, "r%d starts", i)
					}
				case 1:
					switch x.k {
					case 2:
						x.v[i] = x.kv
						fin("L2 hit")
					case 0:
						n := uint8(1)
						for n == x.t[1-i] {
							n++
						}
						x.k, x.kt, x.t[i], x.pc[i] = 1, n, n, 2
						e.to(x, "r%d leases", i)
					}
				case 2:
					x.v[i], x.pc[i] = x.db, 3
					e.to(x, "r%d loads v%d", i, x.db)
				case 3:
					if x.k == 1 && x.kt == x.t[i] {
						x.k, x.kv, x.kt = 2, x.v[i], 0
					}
					fin("fill")
				}
			}
		}
		return explore(setState{k: 2, sr: 2, vr: 2, gets: [2]uint8{bound(mut, 3, 2), bound(mut, 2, 1)}, ev: 1}, step, func(s setState) string {
			if s.k == 2 && s.kv < s.inv {
				return "P4: stored value older than an executed invalidation"
			}
			return ""
		})
	},
}

type setState struct {
	db, inv, floor uint8
	k, kv, kt      uint8
	sw, sv         uint8 // setter: 0 idle 1 committed 2 executed 3 returned
	sr             uint8
	vw, vv, vr     uint8
	pc             [2]uint8
	f, v, t        [2]uint8
	gets           [2]uint8
	ev             uint8
}
