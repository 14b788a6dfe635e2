package model

// GetMany of two keys on two nodes in opposite order, among leases, flights and an
// invalidation. Node 0 runs two that share flights, node 1 one. They look before they
// join or lead.
//
// live: no state without a successor while a GetMany is unfinished; leases are
// renewed for ever while their holder lives.
var batch = configuration{
	name: "batch", promises: "P1 live",
	mutants: []mutant{
		{name: "waitfirst", rule: "a GetMany waits before it loads what it leads"},
		{name: "joinany", rule: "flights are joined without the evidence rule"},
	},
	run: func(mut string) outcome {
		order := [3][2]int{{0, 1}, {1, 0}, {1, 0}}
		step := func(s batchState, e edges[batchState]) {
			n := 0
			to := func(x batchState, l string, a ...any) { n++; e.to(x, l, a...) }
			x := s
			switch s.wr {
			case 0:
				for k := range 2 {
					x = s
					x.db[0]++
					x.wr, x.wk = 1, uint8(k)
					to(x, "commit v%d of key%d", x.db[0], k)
				}
			case 1:
				x.k[s.wk], x.kv[s.wk], x.kt[s.wk] = 0, 0, 0
				x.wr = 2
				to(x, "DEL key%d executed", s.wk)
			case 2:
				x.fl[s.wk] = x.db[0]
				x.wr = 3
				to(x, "Invalidate returns")
			}
			for c := range 3 {
				node0 := c < 2
				if s.st[c] == 0 {
					x = s
					x.st[c] = 1
					x.f[c] = x.fl
					to(x, "GetMany %d starts", c)
					continue
				}
				if s.st[c] == 2 {
					continue
				}
				leads, waits, done := 0, 0, 0
				for k := range 2 {
					switch s.pc[c][k] {
					case 1, 2:
						leads++
					case 4, 5:
						waits++
					case 3:
						done++
					}
				}
				if done == 2 {
					x = s
					x.st[c] = 2
					bad := false
					for k := range 2 {
						bad = bad || x.v[c][k] < x.f[c][k]
					}
					if bad {
						n++
						e.bad(x, "P1: GetMany returned an invalidated value", "GetMany %d returns", c)
					} else {
						to(x, "GetMany %d returns", c)
					}
					continue
				}
				// acquisition phase, in the call's own order (pipelined: one step each)
				acquired := true
				for _, k := range order[c] {
					if s.pc[c][k] == 0 {
						acquired = false
						x = s
						if x.k[k] == 2 {
							x.v[c][k], x.pc[c][k] = x.kv[k], 3
							to(x, "GetMany %d key%d hit", c, k)
						} else {
							x.pc[c][k] = 6
							to(x, "GetMany %d looks for key%d", c, k)
						}
						break
					}
					if s.pc[c][k] == 6 {
						acquired = false
						x = s
						if node0 && x.own[k] >= 0 && int(x.own[k]) != c {
							x.pc[c][k] = 5
							x.ent[c][k] = x.pc[x.own[k]][k] != 2 // proving request (fill) not sent yet
							if mut == "joinany" {
								x.ent[c][k] = true
							}
							to(x, "GetMany %d joins flight of key%d", c, k)
							break
						}
						switch x.k[k] {
						case 2:
							x.pc[c][k] = 0
							to(x, "GetMany %d key%d came meanwhile", c, k)
						case 0:
							t := uint8(c + 1)
							x.k[k], x.kt[k], x.pc[c][k], x.tk[c][k] = 1, t, 1, t
							if node0 {
								x.own[k] = int8(c)
							}
							to(x, "GetMany %d leases key%d", c, k)
						case 1:
							x.pc[c][k] = 4
							if node0 {
								x.own[k] = int8(c)
							}
							to(x, "GetMany %d key%d BUSY", c, k)
						}
						break
					}
				}
				if !acquired {
					continue
				}
				blocked := mut == "waitfirst" && waits > 0
				if !blocked {
					for k := range 2 {
						if s.pc[c][k] == 1 {
							x = s
							for j := range 2 {
								if x.pc[c][j] == 1 {
									x.pc[c][j], x.v[c][j] = 2, x.db[0]
								}
							}
							to(x, "GetMany %d loads its leased keys", c)
							break
						}
						if s.pc[c][k] == 2 {
							x = s
							ok := x.k[k] == 1 && x.kt[k] == x.tk[c][k]
							if ok {
								x.k[k], x.kv[k], x.kt[k] = 2, x.v[c][k], 0
							}
							x.pc[c][k] = 3
							if node0 {
								x.own[k] = -1
								for o := range 2 {
									if o != c && x.pc[o][k] == 5 {
										if ok && x.ent[o][k] || mut == "joinany" {
											x.v[o][k], x.pc[o][k] = x.v[c][k], 3
										} else {
											x.pc[o][k] = 0
										}
									}
								}
							}
							to(x, "GetMany %d fills key%d: %v", c, k, ok)
						}
					}
				}
				for k := range 2 {
					if s.pc[c][k] == 4 && s.k[k] != 1 { // push wakes the waiter
						x = s
						x.pc[c][k] = 0
						if node0 && x.own[k] == int8(c) {
							x.own[k] = -1
							for o := range 2 {
								if o != c && x.pc[o][k] == 5 {
									x.pc[o][k] = 0
								}
							}
						}
						to(x, "GetMany %d woken for key%d", c, k)
					}
				}
			}
			if n == 0 && (s.st[0] == 1 || s.st[1] == 1 || s.st[2] == 1) {
				e.bad(s, "live: deadlock, every GetMany waits for another while leases are being renewed", "(nothing can happen)")
			}
		}
		return explore(batchState{own: [2]int8{-1, -1}}, step, holds[batchState])
	},
}

type batchState struct {
	db        [1]uint8
	fl        [2]uint8 // floors per key
	k, kv, kt [2]uint8
	pc        [3][2]uint8 // per call and key: 0 todo 1 leased 2 loaded 3 done 4 busy-wait 5 joined 6 looked, not there
	v         [3][2]uint8
	f         [3][2]uint8
	tk        [3][2]uint8
	st        [3]uint8 // 0 not started 1 running 2 finished
	own       [2]int8  // flight owner of key on node 0: -1 none
	ent       [3][2]bool
	wr        uint8
	wk        uint8
}
