package model

// Pending invalidations: the DEL may be lost, executed with its reply lost, or
// delayed. Node A poisons K and retries until it is confirmed; it has memory and
// tracking, node B reads Redis alone.
//
// R: on the node that invalidated, even a memory hit is exact once Invalidate has
// returned.
var pending = configuration{
	name: "pending", promises: "P1 P4 P6 R",
	mutants: []mutant{
		{name: "nopoison", rule: "an unconfirmed invalidation changes nothing locally"},
		{name: "clearearly", rule: "poison is lifted when the retry is sent"},
		{name: "ctxnil", rule: "a time-out is reported as nil"},
		{name: "killonce", rule: "memory, tickets and flights are killed before the DEL is sent, not again at its reply"},
		{name: "poisonmem", rule: "poison stops memory hits only"},
	},
	run: func(mut string) outcome {
		step := func(s pendingState, e edges[pendingState]) {
			mod := func(x *pendingState) {
				if x.trk {
					x.trk = false
					x.q++
				}
			}
			kill := func(x *pendingState) {
				x.lv = 0
				if x.tk == 1 {
					x.tk = 2
				}
			}
			x := s
			switch s.w {
			case 0:
				if s.rounds > 0 {
					x.rounds--
					x.db++
					x.w = 1
					e.to(x, "A commits v%d", x.db)
				}
			case 1:
				kill(&x)
				x.w, x.net = 2, 1
				e.to(x, "A kills locally, sends DEL")
			case 2, 4:
				if s.net == 2 {
					if mut != "killonce" {
						kill(&x)
					}
					if s.w == 2 {
						x.floor, x.afloor = x.inv, x.inv
					} else {
						x.floor, x.afloor = x.db, x.db // confirmed
					}
					x.poison = false
					x.w, x.net = 0, 0
					e.to(x, "reply: A returns nil / confirms")
				}
				// timeout
				y := s
				switch s.net {
				case 1: // lost, or still travelling
					z := y
					z.net = 0
					z.w, z.poison = 3, mut != "nopoison"
					if z.afloor < z.db {
						z.afloor = z.db
					}
					if mut == "ctxnil" && s.w == 2 {
						z.w, z.poison, z.floor = 0, false, z.db
						e.bad(z, "P6: nil returned for an invalidation that was not executed", "timeout reported as nil")
					} else {
						e.to(z, "timeout, DEL lost; ErrPending, poisoned")
						z.dup = true
						e.to(z, "timeout, DEL still travelling; ErrPending, poisoned")
					}
				case 2:
					y.net, y.w, y.poison = 0, 3, mut != "nopoison"
					if y.afloor < y.db {
						y.afloor = y.db
					}
					e.to(y, "timeout, reply lost; ErrPending, poisoned")
				}
			case 3:
				x.w, x.net = 4, 1
				kill(&x)
				if mut == "clearearly" {
					x.poison = false
				}
				e.to(x, "A retries")
			}
			if s.net == 1 {
				x = s
				if x.k != 0 {
					mod(&x)
				}
				x.k, x.kv, x.kt = 0, 0, 0
				x.inv = x.db
				x.net = 2
				e.to(x, "DEL executed")
			}
			if s.dup {
				x = s
				x.dup = false
				if x.k != 0 {
					mod(&x)
				}
				x.k, x.kv, x.kt = 0, 0, 0
				e.to(x, "old delayed DEL executed")
			}
			if s.q > 0 {
				x = s
				x.q--
				kill(&x)
				e.to(x, "A handles a push")
			}
			for i := range 2 {
				x = s
				fin := func(l string) {
					bad := x.v[i] < x.f[i]
					x.pc[i], x.f[i], x.v[i], x.t[i], x.ok[i] = 0, 0, 0, 0, false
					if i == 0 {
						x.tk = 0
					}
					if bad {
						e.bad(x, []string{"P6/R: node A served an older value after its Invalidate returned (nil or pending)", "P1: node B got an older value after nil"}[i], "%s", l)
					} else {
						e.to(x, "%s", l)
					}
				}
				name := []string{"A", "B"}[i]
				switch s.pc[i] {
				case 0:
					if s.gets[i] == 0 {
						break
					}
					x.gets[i]--
					x.f[i] = x.floor
					if i == 0 {
						x.f[0] = x.afloor
						if x.poison {
							if mut != "poisonmem" {
								x.pc[0] = 6
								e.to(x, "A Get: poisoned, bypass")
								break
							}
						} else if x.lv > 0 {
							x.v[0] = x.lv - 1
							fin("A memory hit")
							break
						}
						x.tk = 1
					}
					x.pc[i] = 1
					e.to(x, "%s Get sends GET", name)
				case 1:
					switch x.k {
					case 2:
						x.v[i] = x.kv
						x.pc[i] = 2
						if i == 0 {
							x.trk = true
						}
						e.to(x, "%s GET executed: v%d", name, x.kv)
					case 0:
						n := uint8(1)
						for n == x.t[1-i] {
							n++
						}
						mod(&x)
						x.k, x.kt, x.t[i], x.pc[i] = 1, n, n, 3
						if i == 0 {
							x.tk = 0
						}
						e.to(x, "%s leases", name)
					}
				case 2:
					if i == 0 && x.tk == 1 {
						x.lv = x.v[0] + 1
					}
					fin(name + " L2 hit")
				case 3:
					x.v[i] = x.db
					x.pc[i] = 4
					if i == 0 {
						x.tk = 1
					}
					e.to(x, "%s loads v%d", name, x.db)
				case 4:
					if x.k == 1 && x.kt == x.t[i] {
						mod(&x)
						x.k, x.kv, x.kt = 2, x.v[i], 0
						x.ok[i] = true
						if i == 0 {
							x.trk = true
						}
					}
					x.pc[i] = 5
					e.to(x, "%s fill executed %v", name, x.ok[i])
				case 5:
					if i == 0 && x.tk == 1 && x.ok[0] {
						x.lv = x.v[0] + 1
					}
					fin(name + " fill reply")
				case 6:
					x.v[i] = x.db
					fin(name + " direct load")
				}
			}
		}
		return explore(pendingState{k: 2, rounds: 2, gets: [2]uint8{3, 2}}, step, func(s pendingState) string {
			if s.k == 2 && s.kv < s.inv {
				return "P4: stored value older than an executed DEL"
			}
			return ""
		})
	},
}

type pendingState struct {
	db, inv, floor, afloor uint8
	k, kv, kt              uint8
	q                      uint8 // undelivered pushes to A
	trk                    bool
	lv                     uint8 // A memory value+1
	poison                 bool
	w                      uint8 // 0 idle 1 committed 2 DEL sent 3 pending(idle) 4 retry sent 5 done
	net                    uint8 // a DEL on the wire: 0 none 1 awaiting execution 2 executed, reply on the way 3 delayed copy, nobody waits
	dup                    bool  // an old delayed DEL may still execute
	rounds                 uint8
	pc                     [2]uint8 // 0 A, 1 B: 0 idle 1 GET sent 2 read 3 leased 4 loaded 5 fill done 6 direct
	f, v, t                [2]uint8
	ok                     [2]bool
	tk                     uint8
	gets                   [2]uint8
}
