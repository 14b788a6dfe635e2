package model

// Dynamic tags: a loader learns its tag from what it has read. The tag's
// generation and the log of births live in one control slot, K elsewhere. Two
// loaders; evictions of K, the tag and the log; one invalidation by Larder and one
// DEL by a foreign program. The log is abstracted for each loader as: a birth of
// its tag was logged after its capture, and the captured head is gone.
var dynamicTags = configuration{
	name: "dynamic tags", promises: "P4",
	mutants: []mutant{
		{name: "asis", rule: "a counter and a separate list, births not recorded"},
		{name: "counter", rule: "the position is a counter that restarts when evicted"},
		{name: "delpush", harmless: true, rule: "the tag is deleted before the log entry"},
		{name: "birthonly", harmless: true, rule: "only births are logged, invalidation is a plain DEL"},
		{name: "nobirth", rule: "creating a missing generation is neither logged nor a refusal"},
		{name: "splitcheck", rule: "the log is read first and the generation later"},
	},
	run: func(mut string) outcome {
		counter := mut == "asis" || mut == "counter"
		delpush := mut == "asis" || mut == "delpush"
		nobirth := mut == "asis" || mut == "nobirth"
		push := func(s *dynamicTagsState) {
			s.seq++
			for i := range 2 {
				if s.pc[i] >= 1 && s.pc[i] < 9 {
					s.hit[i] = true
				}
			}
		}
		fg := func(s *dynamicTagsState) uint8 {
			for n := uint8(1); ; n++ {
				if s.g != n && s.kg != n && s.cg[0] != n && s.cg[1] != n {
					return n
				}
			}
		}
		moved := func(s *dynamicTagsState, i int) bool { // true = refuse
			if counter {
				return s.seq == 0 || s.seq != s.cs[i] && s.hit[i]
			}
			return s.seq == 0 || s.lost[i] || s.hit[i]
		}
		step := func(s dynamicTagsState, e edges[dynamicTagsState]) {
			switch s.w { // regular invalidation
			case 0:
				x := s
				x.db++
				x.w = 1
				e.to(x, "writer commits v%d", x.db)
			case 1:
				x := s
				x.w = 2
				if delpush || mut == "birthonly" {
					x.g = 0
					x.inv = x.db
					e.to(x, "DEL tag executed")
				} else {
					push(&x)
					e.to(x, "log entry for tag executed")
				}
			case 2:
				x := s
				x.w = 3
				if mut == "birthonly" {
					e.to(x, "Invalidate returns nil")
				} else if delpush {
					push(&x)
					e.to(x, "log entry for tag executed")
				} else {
					x.g = 0
					x.inv = x.db
					e.to(x, "DEL tag executed; Invalidate returns nil")
				}
			}
			switch s.fw { // foreign: commit, then redis-cli DEL tag
			case 0:
				x := s
				x.db++
				x.fw = 1
				e.to(x, "foreign writer commits v%d", x.db)
			case 1:
				x := s
				x.g = 0
				x.inv = x.db
				x.fw = 2
				e.to(x, "foreign DEL of the tag key")
			}
			if s.ev > 0 {
				if s.k != 0 {
					x := s
					x.ev--
					x.k, x.kv, x.kt, x.kg = 0, 0, 0, 0
					e.to(x, "K evicted")
				}
				if s.g != 0 {
					x := s
					x.ev--
					x.g = 0
					e.to(x, "tag generation evicted")
				}
				if s.seq != 0 {
					x := s
					x.ev--
					x.seq = 0
					for i := range 2 {
						if x.pc[i] > 0 && x.pc[i] < 9 {
							x.lost[i] = true
						}
					}
					e.to(x, "log/sequence evicted")
				}
				if counter {
					x := s
					x.ev--
					x.hit = [2]bool{}
					e.to(x, "separate list evicted")
				}
			}
			for i := range 2 {
				x := s
				switch s.pc[i] {
				case 0:
					if s.loads == 0 {
						break
					}
					x.loads--
					if x.seq == 0 {
						if counter {
							x.pc[i], x.cs[i] = 9, 0 // missing: do not store
							e.to(x, "n%d capture: sequence missing, will not store", i)
							break
						}
						x.seq = 1
					}
					x.pc[i], x.cs[i], x.hit[i], x.lost[i] = 1, 0, false, false
					if counter {
						x.cs[i] = x.seq
					}
					e.to(x, "n%d captures the position", i)
				case 1:
					if x.k == 0 || x.k == 2 && x.kg != x.g {
						n := uint8(1)
						for n == x.t[0] || n == x.t[1] || n == x.kt {
							n++
						}
						x.k, x.kt, x.kv, x.kg, x.t[i], x.pc[i] = 1, n, 0, 0, n, 2
						e.to(x, "n%d acquires/takes over the lease", i)
					}
				case 2:
					x.v[i], x.pc[i] = x.db, 3
					e.to(x, "n%d loads v%d, which carries the tag", i, x.v[i])
				case 3:
					if mut == "splitcheck" {
						if moved(&x, i) {
							x.pc[i] = 9
						} else {
							x.pc[i] = 4
						}
						e.to(x, "n%d reads the log: refuse=%v", i, x.pc[i] == 9)
						break
					}
					ref := moved(&x, i)
					if x.g == 0 {
						x.g = fg(&x)
						if !nobirth {
							push(&x)
							ref = true
						}
					}
					x.cg[i] = x.g
					x.pc[i] = 5
					if ref {
						x.pc[i], x.cg[i] = 9, 0
					}
					e.to(x, "n%d checks log and captures the generation (script): refuse=%v", i, ref)
				case 4:
					ref := false
					if x.g == 0 {
						x.g = fg(&x)
						push(&x)
						ref = true
					}
					x.cg[i] = x.g
					x.pc[i] = 5
					if ref {
						x.pc[i], x.cg[i] = 9, 0
					}
					e.to(x, "n%d reads the generation later: refuse=%v", i, ref)
				case 5:
					if x.k == 1 && x.kt == x.t[i] {
						x.k, x.kv, x.kg = 2, x.v[i], x.cg[i]
					}
					x.pc[i] = 9
					e.to(x, "n%d fill executed", i)
				case 9:
					x.pc[i], x.v[i], x.t[i], x.cg[i], x.cs[i], x.hit[i], x.lost[i] = 0, 0, 0, 0, 0, false, false
					if x != s {
						e.to(x, "n%d flight ends", i)
					}
				}
			}
		}
		return explore(dynamicTagsState{g: 1, seq: 1, ev: 2, loads: 3}, step, func(s dynamicTagsState) string {
			if s.k == 2 && s.kg == s.g && s.g != 0 && s.kv < s.inv {
				return "P4: a value loaded before the tag invalidation is valid in Redis"
			}
			return ""
		})
	},
}

type dynamicTagsState struct {
	db, inv   uint8
	k, kv, kt uint8
	kg, g     uint8
	seq       uint8
	pc        [2]uint8 // 0 idle 1 captured 2 leased 3 loaded 4 log checked(split) 5 checked ok 9 done
	v, t, cg  [2]uint8
	cs        [2]uint8
	hit, lost [2]bool
	w, fw     uint8
	ev        uint8
	loads     uint8
}
