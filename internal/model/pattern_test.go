package model

// DeletePattern by SCAN and UNLINK over two masters, with loads through leases,
// a slot that migrates during the scan, and evictions. No value loaded before the
// start of the call is in Redis at its end.
var pattern = configuration{
	name: "pattern", promises: "P1 P4",
	mutants: []mutant{
		{name: "asis", rule: "a change of topology is not noticed"},
		{name: "getset", rule: "fills need no lease"},
		{name: "valonly", rule: "the scan skips leases"},
	},
	run: func(mut string) outcome {
		step := func(s patternState, e edges[patternState]) {
			x := s
			switch s.sc {
			case 0:
				x.db++
				x.start, x.sc = x.db, 1
				e.to(x, "commit v%d, DeletePattern starts", x.db)
			case 1, 3:
				m := (s.sc - 1) / 2
				x.page = 0
				for i := range 2 {
					if x.at[i] == m && x.k[i] != 0 && !(mut == "valonly" && x.k[i] == 1) {
						x.page |= 1 << i
					}
				}
				x.sc++
				e.to(x, "SCAN of master %d returns %02b", m, x.page)
			case 2, 4:
				for i := range 2 {
					if x.page&(1<<i) != 0 {
						x.k[i], x.kv[i], x.kt[i] = 0, 0, 0
					}
				}
				x.page = 0
				x.sc++
				if x.sc == 5 && x.changed && mut != "asis" {
					x.sc, x.changed = 1, false
				}
				e.to(x, "UNLINK executed")
			}
			if s.mig > 0 && s.sc > 0 && s.sc < 5 {
				for i := range 2 {
					x = s
					x.mig--
					x.at[i] = 1 - x.at[i]
					x.changed = true
					e.to(x, "slot of key%d migrates to master %d", i, x.at[i])
				}
			}
			if s.ev > 0 {
				for i := range 2 {
					if s.k[i] != 0 {
						x = s
						x.ev--
						x.k[i], x.kv[i], x.kt[i] = 0, 0, 0
						e.to(x, "key%d evicted", i)
					}
				}
			}
			for i := range 2 {
				x = s
				switch s.pc[i] {
				case 0:
					if s.loads[i] > 0 && s.k[i] == 0 {
						x.loads[i]--
						x.t[i]++
						x.k[i], x.kt[i], x.pc[i] = 1, x.t[i], 1
						if mut == "getset" {
							x.k[i], x.kt[i] = 0, 0
						}
						e.to(x, "load of key%d begins (lease)", i)
					}
				case 1:
					x.v[i], x.pc[i] = x.db, 2
					e.to(x, "key%d: loaded v%d", i, x.db)
				case 2:
					if x.k[i] == 1 && x.kt[i] == x.t[i] || mut == "getset" {
						x.k[i], x.kv[i], x.kt[i] = 2, x.v[i], 0
					}
					x.pc[i], x.v[i] = 0, 0
					e.to(x, "key%d fill executed", i)
				}
			}
		}
		return explore(patternState{at: [2]uint8{0, 1}, k: [2]uint8{2, 0}, loads: [2]uint8{2, 2}, mig: 1, ev: 1}, step, func(s patternState) string {
			if s.sc == 5 {
				for i := range 2 {
					if s.k[i] == 2 && s.kv[i] < s.start {
						return "P1/P4: DeletePattern returned, a value loaded before its start is in Redis"
					}
				}
			}
			return ""
		})
	},
}

type patternState struct {
	db, start uint8
	at        [2]uint8 // master of key i
	k, kv, kt [2]uint8
	pc, v, t  [2]uint8
	loads     [2]uint8
	sc        uint8 // 0 idle 1 m0 next 2 m0 unlink 3 m1 next 4 m1 unlink 5 done
	page      uint8 // bitmask of keys returned
	mig       uint8
	changed   bool
	ev        uint8
}
