package model

// Failover: an old master with a replica that lags by up to two writes, isolated
// at the failover, answering reads and taking writes until it is fenced. Node A
// writes and keeps a journal; node B reads with memory. A switch of masters is a
// new connection.
//
// FO: once A has replayed its journal, nodes on the new master are exact; once the
// old master is fenced and B's credit ran out, B serves nothing stale from it; an
// entry of the old master is never credited by the new one.
var failover = configuration{
	name: "failover", promises: "FO",
	mutants: []mutant{
		{name: "asis", rule: "the old master counts as evidence while it answers; an epoch is a client id"},
		{name: "ping", rule: "the heartbeat is a PING, which an isolated master answers"},
		{name: "nojournal", rule: "nothing is replayed"},
		{name: "idonly", rule: "an epoch is a client id alone"},
		{name: "readiso", rule: "reads are accepted without credit"},
	},
	run: func(mut string) outcome {
		idonly := mut == "asis" || mut == "idonly"
		readiso := mut == "asis" || mut == "readiso"
		step := func(s failoverState, e edges[failoverState]) {
			wr := func(x *failoverState, m uint8, n kv) { // a write on master m
				x.m[m] = n
				if m == 0 && !x.failed {
					if x.qn == 2 {
						x.rep = x.qq[0]
						x.qq[0] = x.qq[1]
						x.qn = 1
					}
					x.qq[x.qn] = n
					x.qn++
				}
				if x.trk[m] {
					x.trk[m] = false
					if x.at[1] == m {
						x.q++
					}
				}
			}
			x := s
			if s.qn > 0 && !s.failed {
				x.rep = x.qq[0]
				x.qq[0], x.qq[1] = x.qq[1], kv{}
				x.qn--
				e.to(x, "replica receives one write")
			}
			if !s.failed {
				x = s
				x.failed = true
				x.m[1] = x.rep
				x.rep, x.qq, x.qn = kv{}, [2]kv{}, 0
				e.to(x, "failover: %d writes lost, M0 isolated", s.qn)
			} else {
				if !s.fenced {
					x = s
					x.fenced = true
					e.to(x, "M0 refuses writes from now on")
				}
				for n := range 2 {
					if s.at[n] == 0 {
						x = s
						x.at[n] = 1
						if n == 1 {
							x.q, x.trk[0], x.sfloor = 0, false, 0
							if !idonly {
								x.lv, x.lm, x.credit = 0, 0, false
								if x.tk == 1 {
									x.tk = 2
								}
							}
						}
						e.to(x, "%s reconnects to M1", []string{"A", "B"}[n])
					}
				}
				if s.at[0] == 1 && !s.jr && mut != "nojournal" && s.w != 1 {
					x = s
					if x.jn {
						wr(&x, 1, kv{})
					}
					x.jr, x.sfloor = true, 0
					e.to(x, "A replays its journal on M1")
				}
			}
			// writer A
			x = s
			switch s.w {
			case 0:
				if s.rounds > 0 {
					x.rounds--
					x.db++
					x.w = 1
					e.to(x, "A commits v%d", x.db)
				}
			case 1:
				m := x.at[0]
				if m == 0 && x.fenced {
					break
				}
				wr(&x, m, kv{})
				x.w = 2
				x.jn = true
				e.to(x, "DEL executed at M%d", m)
			case 2:
				x.floor = x.db
				x.w = 0
				e.to(x, "Invalidate returns nil")
			}
			if s.sfloor < s.floor && s.failed && (s.at[1] == 1 && (s.jr || mut == "nojournal") && (s.q == 0 || !s.credit) || s.at[1] == 0 && s.fenced && !s.credit) {
				x = s
				x.sfloor = x.floor
				e.to(x, "(T has passed)")
			}
			// B
			if s.q > 0 {
				x = s
				x.q--
				x.lv, x.lm = 0, 0
				if x.tk == 1 {
					x.tk = 2
				}
				e.to(x, "B handles push")
			}
			if s.credit {
				x = s
				x.credit = false
				e.to(x, "B's credit runs out")
			} else if s.q == 0 {
				m := s.at[1]
				if !(m == 0 && s.fenced && mut != "ping") {
					x = s
					x.credit = true
					e.to(x, "B heartbeat acknowledged by M%d", m)
				}
			}
			x = s
			// promise applies: (on M1 and A replayed) or (on M0, fenced, everything decided at M1)
			entitled := func(x *failoverState) uint8 {
				if !x.failed {
					return 0
				}
				if x.at[1] == 1 && (x.jr || mut == "nojournal" && x.at[0] == 1) {
					return x.floor
				}
				if x.at[1] == 0 && x.fenced && !x.credit {
					return x.floor
				}
				return 0
			}
			fin := func(l string) {
				bad := x.v < x.f
				x.pc, x.f, x.v, x.t, x.tk, x.bm, x.ok = 0, 0, 0, 0, 0, 0, false
				if bad {
					e.bad(x, "FO: stale value although the promise applies", "%s", l)
				} else {
					e.to(x, "%s", l)
				}
			}
			switch s.pc {
			case 0:
				if s.gets == 0 {
					break
				}
				x.gets--
				x.f = entitled(&x)
				if mut == "ping" && x.at[1] == 0 && x.fenced { // T has passed since the fence
					x.f = x.floor
				}
				hit := x.lv > 0 && x.credit && (idonly || x.lm == x.at[1]+1)
				if hit {
					x.f = min(x.f, x.sfloor)
					x.v = x.lv - 1
					fin("B memory hit")
					break
				}
				if x.at[1] == 0 && x.fenced && !x.credit && !readiso {
					x.v = x.db
					fin("B: shard without credit, loads directly")
					break
				}
				x.pc, x.tk, x.bm = 1, 1, x.at[1]
				e.to(x, "B Get starts, request to M%d", x.bm)
			case 1:
				if x.bm != x.at[1] { // connection gone: error
					x.v = x.db
					fin("B: request failed, loads directly")
					break
				}
				m := x.bm
				switch x.m[m].k {
				case 2:
					x.v = x.m[m].v
					x.trk[m] = true
					x.pc = 2
					e.to(x, "B GET executed at M%d: v%d", m, x.v)
				case 0:
					if m == 0 && x.fenced {
						x.v = x.db
						fin("B: lease refused, loads directly")
						break
					}
					x.t = 1
					if x.m[1-m].t == 1 || x.rep.t == 1 || x.qq[0].t == 1 || x.qq[1].t == 1 {
						x.t = 2
					}
					wr(&x, m, kv{1, 0, x.t})
					x.tk, x.pc = 0, 3
					e.to(x, "B leases at M%d", m)
				case 1:
					x.v = x.db
					fin("B: foreign/old lease, waits it out, loads")
				}
			case 2:
				if x.tk == 1 {
					x.lv, x.lm = x.v+1, x.bm+1
				}
				fin("B L2 hit")
			case 3:
				x.v = x.db
				x.pc, x.tk = 4, 1
				e.to(x, "B loads v%d", x.db)
			case 4:
				m := x.at[1]
				x.ok = false
				if x.m[m].k == 1 && x.m[m].t == x.t && !(m == 0 && x.fenced) {
					wr(&x, m, kv{2, x.v, 0})
					x.trk[m] = true
					x.ok = true
				}
				x.bm, x.pc = m, 5
				e.to(x, "B fill at M%d: %v", m, x.ok)
			case 5:
				if x.ok && x.tk == 1 && x.bm == x.at[1] {
					x.lv, x.lm = x.v+1, x.bm+1
				}
				fin("B fill reply")
			}
		}
		return explore(failoverState{m: [2]kv{{2, 0, 0}, {}}, rep: kv{2, 0, 0}, gets: 3, rounds: 2}, step, holds[failoverState])
	},
}

type kv struct{ k, v, t uint8 }
type failoverState struct {
	db             uint8
	m              [2]kv
	rep            kv
	qn             uint8
	qq             [2]kv
	failed, fenced bool
	at             [2]uint8 // master of A, B
	floor, sfloor  uint8    // exact floor; floor for memory hits (pushes delivered or credit gone)
	jr             bool     // A's journal has been replayed on M1
	jn             bool     // A's journal contains something
	w              uint8
	pc             uint8 // B
	f, v, t        uint8
	tk             uint8
	bm             uint8 // master the current request was sent to
	lv             uint8
	lm             uint8 // master+1 where the memory entry was registered
	credit         bool
	q              uint8
	trk            [2]bool
	gets, rounds   uint8
	ok             bool
}
