package model

// Tags in Redis alone: one key K on one shard, two tags each on its own shard,
// so that nothing about them is atomic with K. Two nodes that read exactly, a
// joiner on the first one's flight, a writer that invalidates one of the tags,
// and evictions of K and of the generations.
var tagsInRedis = configuration{
	name: "tags", promises: "P1 P4 P5",
	mutants: []mutant{
		{name: "asis", rule: "the leader shares its fill without reading the generations again"},
		{name: "p5direct", rule: "the first mismatch takes over, without a second look"},
		{name: "taglate", rule: "generations are captured after the load"},
		{name: "noeq", rule: "a reader compares one of two tags"},
		{name: "missok", rule: "a missing generation counts as equal"},
		{name: "seqgen", rule: "generations are counters that restart when recreated"},
	},
	run: func(mut string) outcome {
		valid := func(s *tagsInRedisState) bool {
			return s.k == 2 && s.kg[0] == s.g[0] && s.kg[1] == s.g[1] && s.g[0] != 0 && s.g[1] != 0
		}
		ensure := func(s *tagsInRedisState, t int) uint8 {
			if s.g[t] == 0 {
				if mut == "seqgen" {
					s.g[t] = 1
				} else {
					s.g[t] = freshGen(s, t)
				}
			}
			return s.g[t]
		}
		finish := func(s tagsInRedisState, i int, shareable bool, e edges[tagsInRedisState], l string) {
			why := ""
			if s.v[i] < s.f[i] {
				why = "P1: leader got a value older than the floor at its start"
			}
			if i == 0 && s.j == 1 {
				if shareable && s.jent {
					if s.v[0] < s.jf {
						why = "P1: joiner got a value loaded before an invalidation that had returned when it started"
					}
				}
				s.j, s.jf, s.jent = 9, 0, false
			}
			s.pc[i], s.todo[i], s.rk[i], s.rv[i], s.rid[i], s.rg[i], s.cg[i], s.pg[i], s.t[i], s.v[i], s.f[i], s.ok[i] = 0, 0, 0, 0, 0, [2]uint8{}, [2]uint8{}, [2]uint8{}, 0, 0, 0, false
			if why != "" {
				e.bad(s, why, "%s", l)
			} else {
				e.to(s, "%s", l)
			}
		}
		step := func(s tagsInRedisState, e edges[tagsInRedisState]) {
			switch {
			case s.w == 0 && s.wl > 0:
				for t := range uint8(2) {
					x := s
					x.db++
					x.w, x.wt = 1, t
					e.to(x, "writer commits v%d", x.db)
				}
			case s.w == 1:
				x := s
				x.g[x.wt] = 0
				x.inv = x.db
				x.w = 2
				e.to(x, "DEL tag%d executed", x.wt)
			case s.w == 2:
				x := s
				x.floor = x.inv
				x.w, x.wt = 0, 0
				x.wl--
				e.to(x, "Invalidate returned nil")
			}
			if s.ev > 0 {
				if s.k != 0 {
					x := s
					x.ev--
					x.k, x.kv, x.kid, x.kg = 0, 0, 0, [2]uint8{}
					e.to(x, "K evicted")
				}
				for t := range 2 {
					if s.g[t] != 0 {
						x := s
						x.ev--
						x.g[t] = 0
						e.to(x, "generation of tag%d evicted", t)
					}
				}
			}
			for i := range 2 {
				switch s.pc[i] {
				case 0:
					if s.gets[i] > 0 {
						x := s
						x.gets[i]--
						x.f[i] = x.floor
						x.pc[i], x.todo[i] = 1, 7
						e.to(x, "n%d Get starts, sends GET K and GET tags on their shards", i)
					}
				case 1:
					if s.todo[i]&1 != 0 {
						x := s
						x.todo[i] &^= 1
						x.rk[i], x.rv[i], x.rid[i], x.rg[i] = x.k, x.kv, x.kid, x.kg
						if x.rk[i] == 1 {
							x.rv[i], x.rid[i] = 0, 0
						}
						e.to(x, "n%d GET K executed", i)
					}
					for t := range 2 {
						if s.todo[i]&(2<<t) != 0 {
							x := s
							x.todo[i] &^= 2 << t
							if mut == "missok" && x.g[t] == 0 {
								x.cg[i][t] = 255
							} else {
								x.cg[i][t] = ensure(&x, t)
							}
							e.to(x, "n%d tag%d read (created if missing)", i, t)
						}
					}
					if s.todo[i] == 0 {
						x := s
						switch x.rk[i] {
						case 0:
							x.pc[i] = 2
							e.to(x, "n%d miss", i)
						case 1:
							x.pc[i], x.todo[i] = 1, 7
							x.cg[i] = [2]uint8{}
							e.to(x, "n%d BUSY, waits, reads again", i)
						case 2:
							eq := (x.rg[i][0] == x.cg[i][0] || x.cg[i][0] == 255) && (x.rg[i][1] == x.cg[i][1] || x.cg[i][1] == 255 || mut == "noeq")
							if eq {
								x.v[i] = x.rv[i]
								finish(x, i, true, e, "hit")
							} else if mut == "asis" || mut == "p5direct" {
								x.pc[i] = 5
								e.to(x, "n%d judges generations outdated, sends takeover", i)
							} else {
								x.pc[i], x.todo[i] = 6, 6
								x.cg[i] = [2]uint8{}
								e.to(x, "n%d generations differ, re-reads them", i)
							}
						}
					}
				case 6:
					for t := range 2 {
						if s.todo[i]&(2<<t) != 0 {
							x := s
							x.todo[i] &^= 2 << t
							x.cg[i][t] = ensure(&x, t)
							e.to(x, "n%d tag%d re-read after K", i, t)
						}
					}
					if s.todo[i] == 0 {
						x := s
						if x.rg[i] == x.cg[i] {
							x.v[i] = x.rv[i]
							finish(x, i, true, e, "hit after re-reading the generations")
						} else {
							x.pc[i] = 5
							e.to(x, "n%d certainly outdated, sends takeover", i)
						}
					}
				case 2, 5:
					x := s
					okk := x.k == 0
					if s.pc[i] == 5 {
						okk = x.k == 2 && x.kid == x.rid[i]
					}
					if okk && s.pc[i] == 5 && valid(&s) {
						e.bad(x, "P5: takeover destroyed a valid value", "n%d takeover executed", i)
						return
					}
					if okk {
						n := freshTok(&x)
						x.k, x.kid, x.kv, x.kg = 1, n, 0, [2]uint8{}
						x.t[i] = n
						x.pc[i] = 3
						x.rk[i], x.rv[i], x.rid[i], x.rg[i] = 0, 0, 0, [2]uint8{}
						e.to(x, "n%d acquires the lease", i)
					} else {
						x.pc[i], x.todo[i] = 1, 7
						x.cg[i] = [2]uint8{}
						x.rk[i], x.rv[i], x.rid[i], x.rg[i] = 0, 0, 0, [2]uint8{}
						x.jent = x.jent || i == 0 && x.j == 1
						e.to(x, "n%d not acquired, reads again", i)
					}
				case 3:
					x := s
					x.v[i] = x.db
					x.pc[i] = 7
					e.to(x, "n%d loads v%d", i, x.v[i])
				case 7:
					x := s
					x.pc[i], x.todo[i] = 4, 7
					if mut == "asis" {
						x.todo[i] = 1
					}
					if mut == "taglate" {
						x.cg[i] = [2]uint8{ensure(&x, 0), ensure(&x, 1)}
					}
					x.jent = x.jent || i == 0 && x.j == 1
					e.to(x, "n%d sends the fill", i)
				case 4:
					if s.todo[i]&1 != 0 {
						x := s
						x.todo[i] &^= 1
						x.ok[i] = x.k == 1 && x.kid == x.t[i]
						if x.ok[i] {
							x.k, x.kv, x.kg = 2, x.v[i], x.cg[i]
						}
						e.to(x, "n%d fill executed: %v", i, x.ok[i])
					}
					for t := range 2 {
						if s.todo[i]&(2<<t) != 0 {
							x := s
							x.todo[i] &^= 2 << t
							x.pg[i][t] = x.g[t]
							e.to(x, "n%d tag%d re-read beside the fill", i, t)
						}
					}
					if s.todo[i] == 0 {
						sh := s.ok[i] && (mut == "asis" || s.pg[i] == s.cg[i])
						finish(s, i, sh, e, "fill reply")
					}
				}
			}
			if s.j == 0 && s.pc[0] != 0 {
				x := s
				x.j, x.jf, x.jent = 1, x.floor, false
				e.to(x, "joiner starts and joins n0's flight")
			}
		}
		return explore(tagsInRedisState{g: [2]uint8{1, 1}, gets: [2]uint8{1, 1}, wl: bound(mut, 2, 1), ev: 1}, step, func(s tagsInRedisState) string {
			if valid(&s) && s.kv < s.inv {
				return "P4: a value loaded before the tag invalidation is valid in Redis"
			}
			return ""
		})
	},
}

type tagsInRedisState struct {
	db, inv, floor uint8
	k, kv, kid     uint8 // 0 absent 1 lease 2 value ; token/id
	kg             [2]uint8
	g              [2]uint8 // current generations, 0 = missing
	pc             [2]uint8 // 0 idle 1 reading 2 decided-miss(acquire) 3 load 4 fill+reread pending 5 takeover 6 rejudge
	todo           [2]uint8 // bit0 K, bit1 tag0, bit2 tag1
	rk, rv, rid    [2]uint8
	rg             [2][2]uint8 // generations embedded in what was read
	cg             [2][2]uint8 // captured generations
	pg             [2][2]uint8 // re-read after fill
	t, v, f        [2]uint8
	ok             [2]bool
	gets           [2]uint8
	w, wt, wl      uint8
	ev             uint8
	j, jf          uint8 // joiner on node 0's flight: 0 none 1 joined 9 done
	jent           bool  // a proving request was sent after the joiner's start
}

func freshGen(s *tagsInRedisState, t int) uint8 {
	for n := uint8(1); ; n++ {
		used := s.g[t] == n || s.kg[t] == n
		for i := range 2 {
			used = used || s.rg[i][t] == n || s.cg[i][t] == n || s.pg[i][t] == n
		}
		if !used {
			return n
		}
	}
}
func freshTok(s *tagsInRedisState) uint8 {
	for n := uint8(1); ; n++ {
		if s.kid != n && s.t[0] != n && s.t[1] != n && s.rid[0] != n && s.rid[1] != n {
			return n
		}
	}
}
