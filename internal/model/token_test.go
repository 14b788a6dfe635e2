package model

// Read-your-writes tokens: the token is a number of a counter of the shard,
// incremented after the DEL in the same pipeline; heartbeats increment the same
// counter, and a memory hit is allowed if the last acknowledged heartbeat's number
// is larger and their nonces agree. The counter may be evicted.
var token = configuration{
	name: "token", promises: "P1",
	mutants: []mutant{
		{name: "exact", harmless: true, rule: "a Get with a token is exact"},
		{name: "nonce0", rule: "the counter has no nonce"},
		{name: "incfirst", rule: "the counter is incremented before the DEL"},
		{name: "ignoretok", rule: "the token is ignored"},
		{name: "hbreply", rule: "a heartbeat counts when it is executed, not when its reply has come"},
	},
	run: func(mut string) outcome {
		step := func(s tokenState, e edges[tokenState]) {
			inc := func(x *tokenState) {
				if x.nonce == 0 {
					x.n = 0
					x.nonce = 1
					for mut != "nonce0" && (x.nonce == x.tn || x.nonce == x.an || x.nonce == x.hn) {
						x.nonce++
					}
				}
				x.n++
			}
			del := func(x *tokenState) {
				if x.trk && x.k != 0 {
					x.trk = false
					x.q++
				}
				x.k, x.kv = 0, 0
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
				x.w = 2
				if mut == "incfirst" {
					inc(&x)
					x.tn, x.tc = x.nonce, x.n
					x.has = false
					e.to(x, "INCR executed (%d)", x.n)
				} else {
					del(&x)
					e.to(x, "DEL executed")
				}
			case 2:
				x.w = 0
				if mut == "incfirst" {
					del(&x)
				} else {
					inc(&x)
					x.tn, x.tc = x.nonce, x.n
				}
				x.tv, x.has = x.db, true
				e.to(x, "pipeline complete, token=(%d,%d)", x.tn, x.tc)
			}
			if s.ev > 0 && s.nonce != 0 {
				x = s
				x.ev--
				x.nonce, x.n = 0, 0
				e.to(x, "counter evicted")
			}
			if s.q > 0 {
				x = s
				x.q--
				x.lv = 0
				e.to(x, "B handles push")
			}
			if s.hb > 0 && s.hc == 0 {
				x = s
				x.hb--
				inc(&x)
				x.hn, x.hc = x.nonce, x.n
				if mut == "hbreply" { // the number of the previous heartbeat is irrelevant: credit at execution, pushes not ordered
					x.an, x.ac, x.hn, x.hc = x.hn, x.hc, 0, 0
				}
				e.to(x, "B heartbeat executed (%d)", x.n)
			}
			if s.hc > 0 && s.q == 0 { // reply follows all earlier pushes
				x = s
				x.an, x.ac, x.hn, x.hc = x.hn, x.hc, 0, 0
				e.to(x, "B heartbeat reply")
			}
			// B Get with token
			if s.has && s.gets > 0 {
				x = s
				x.gets--
				hit := x.lv > 0 && (x.an == x.tn && x.ac > x.tc)
				switch mut {
				case "exact":
					hit = false
				case "ignoretok":
					hit = x.lv > 0
				case "nonce0":
					hit = x.lv > 0 && x.ac > x.tc
				}
				if hit {
					if x.lv-1 < x.tv {
						e.bad(x, "P1: a Get that carries the token got an older value", "B memory hit")
					} else {
						e.to(x, "B memory hit")
					}
				} else {
					if x.k == 2 {
						x.lv, x.trk = x.kv+1, true
						if x.kv < x.tv {
							e.bad(x, "P1: L2", "B L2 hit")
							return
						}
					}
					e.to(x, "B exact read")
				}
			}
			if s.k == 0 {
				x = s
				if x.trk {
					x.trk = false
					x.q++
				}
				x.k, x.kv = 2, x.db
				e.to(x, "someone loads and fills v%d", x.db)
			}
			if s.k == 2 && s.lv == 0 && !s.has {
				x = s
				x.lv, x.trk = x.kv+1, true
				e.to(x, "B keeps K in memory")
			}
		}
		return explore(tokenState{k: 2, nonce: 1, n: 1, ev: 1, rounds: 2, gets: 3, hb: 4}, step, holds[tokenState])
	},
}

type tokenState struct {
	db         uint8
	k, kv      uint8
	q          uint8
	trk        bool
	lv         uint8
	nonce, n   uint8
	hn, hc     uint8 // heartbeat in flight executed: (nonce,n); applied
	an, ac     uint8 // applied at B
	w          uint8
	tn, tc, tv uint8 // token: nonce, n, version
	has        bool
	ev, rounds uint8
	gets       uint8
	hb         uint8
}
