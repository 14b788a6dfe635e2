package model

// Strict by acknowledgement: a heartbeat registers its node in the live set before
// it earns credit; the script of the DEL reads the live set and publishes; nodes
// answer after handling the message. The writer returns when every member it read
// has answered, or after T. Nodes join, crash, lapse and come back; flights may be
// joined until a push detaches them.
var strictAcknowledged = configuration{
	name: "strict acknowledged", promises: "P3",
	mutants: []mutant{
		{name: "count", rule: "acknowledgements are counted, whoever sends them"},
		{name: "otherconn", rule: "the message travels on another connection than the pushes"},
		{name: "latereg", rule: "credit is earned before the registration is executed"},
		{name: "expiry", rule: "members leave by the server's clock, which may jump"},
		{name: "nodetach", rule: "a push does not detach a flight"},
		{name: "owne", rule: "a node without registration trusts its read's own evidence"},
	},
	run: func(mut string) outcome {
		step := func(s strictAcknowledgedState, e edges[strictAcknowledgedState]) {
			x := s
			switch s.w {
			case 0:
				x.db++
				x.w = 1
				e.to(x, "commit v%d", x.db)
			case 1:
				x.w = 2
				x.k, x.kv = 0, 0
				for i := range x.n {
					p := &x.n[i]
					if p.trk && p.up {
						p.trk = false
						p.q++
					}
					if p.member && !(mut == "expiry" && p.exp) {
						p.need = true
						x.wanted++
					}
					if p.up {
						p.msg = true
					}
				}
				e.to(x, "script: DEL, read live set (%d members), publish", x.wanted)
			case 2:
				ok := true
				for i := range s.n {
					if s.n[i].need {
						ok = false
					}
				}
				if mut == "count" {
					ok = s.acks >= s.wanted
				}
				if ok {
					x.w, x.floor = 3, x.db
					e.to(x, "all acknowledged: Strict returns")
				}
				tp := true
				for i := range s.n {
					if s.n[i].credit && s.n[i].q > 0 {
						tp = false
					}
				}
				if tp && !ok {
					x = s
					x.w, x.floor, x.tpass = 3, x.db, true
					for i := range x.n { // evidence older than T is void: heartbeats sent and flights that read before the DEL
						if x.n[i].hb == 1 {
							x.n[i].hb = 0
						}
						if x.n[i].fl == 1 && x.n[i].fv < x.db {
							x.n[i].det = true
						}
					}
					e.to(x, "T has passed: Strict returns")
				}
			}
			if s.jump && (s.n[0].member || s.n[1].member) {
				x = s
				x.jump = false
				for i := range x.n {
					x.n[i].exp = x.n[i].member
				}
				e.to(x, "server's wall clock jumps forward")
			}
			if s.k == 0 && s.ops > 0 {
				x = s
				x.ops--
				x.k, x.kv = 2, x.db
				e.to(x, "K filled with v%d", x.db)
			}
			for i := range s.n {
				p := s.n[i]
				set := func(q h2n, l string, a ...any) {
					y := s
					y.n[i] = q
					e.to(y, "n%d "+l, append([]any{i}, a...)...)
				}
				if !p.up {
					if s.crash > 0 && p.hb == 0 { // join
						y := s
						y.crash--
						y.n[i] = h2n{up: true, need: p.need, member: p.member}
						e.to(y, "n%d starts", i)
					}
					continue
				}
				if s.crash > 0 {
					y := s
					y.crash--
					y.n[i] = h2n{member: p.member, need: p.need}
					e.to(y, "n%d crashes", i)
				}
				if p.credit && s.lapse > 0 {
					y := s
					y.lapse--
					y.n[i].credit = false
					e.to(y, "n%d credit lapses", i)
				}
				if p.member && !p.credit && p.hb == 0 && s.lapse > 0 { // removed from the live set as unseen
					y := s
					y.lapse--
					y.n[i].member = false
					e.to(y, "n%d removed from the live set (silent for long)", i)
				}
				if p.hb == 0 {
					q := p
					q.hb = 1
					q.member, q.exp = true, false
					if mut == "latereg" {
						q.member = p.member
					}
					if p.q == 0 || mut != "" && false {
						set(q, "heartbeat executed")
					} else {
						q.hb = 2 // reply is behind the pushes
						set(q, "heartbeat executed behind pushes")
					}
				}
				if p.hb == 1 || p.hb == 2 && p.q == 0 {
					q := p
					q.hb, q.credit = 0, true
					set(q, "heartbeat reply: credit")
				}
				if mut == "latereg" && p.credit && !p.member {
					q := p
					q.member = true
					set(q, "registration executed late")
				}
				if p.q > 0 {
					q := p
					q.q--
					q.mem = 0
					if mut != "nodetach" {
						q.det = q.fl != 0
					}
					set(q, "handles push")
				}
				if p.msg && (p.q == 0 || mut == "otherconn") {
					y := s
					y.n[i].msg = false
					y.n[i].ack = true
					e.to(y, "n%d handles message, acknowledges", i)
				}
				if p.ack {
					y := s
					y.n[i].ack = false
					if y.n[i].need {
						y.n[i].need = false
					}
					y.acks++
					e.to(y, "ack of n%d arrives", i)
				}
				// reading
				if p.fl == 0 && s.k == 2 && p.mem == 0 {
					q := p
					q.fl, q.fv, q.trk, q.det = 1, s.kv, true, false
					set(q, "flight: GET K executed v%d", s.kv)
				}
				if p.fl == 1 {
					q := p
					q.fl, q.fv = 0, 0
					if !p.det {
						q.mem = p.fv + 1
					}
					if mut == "nodetach" && p.q == 0 && s.w >= 2 && p.fv < s.db {
						q.mem = 0 // the ticket is dead, but the flight is still joinable
					}
					q.det = false
					set(q, "flight ends")
				}
				if p.fl == 1 && !p.det && (p.credit || mut == "owne") && p.fv < s.floor {
					e.bad(s, "P3: a D=T Get joined a flight that read before the invalidation, after Strict returned", "n%d Get joins the flight", i)
				}
				if p.mem > 0 && (p.credit || mut == "owne" && s.w == 3 && !s.tpass) && p.mem-1 < s.floor {
					e.bad(s, "P3: memory hit with an old value after Strict returned", "n%d Get hits memory", i)
				}
			}
		}
		init := strictAcknowledgedState{k: 2, crash: bound(mut, 2, 1), lapse: bound(mut, 2, 1), jump: true, ops: 1}
		init.n[0] = h2n{up: true}
		init.n[1] = h2n{up: true}
		return explore(init, step, holds[strictAcknowledgedState])
	},
}

type h2n struct {
	up, credit, member bool
	mem                uint8 // value+1
	q                  uint8 // bit queue: pushes on tracked connection in order before msg
	msg                bool  // message on the wire (same connection, behind the push)
	ack                bool  // ack on the wire
	hb                 uint8 // 0 none 1 executed, reply behind pushes
	fl                 uint8 // flight: 0 none 1 read old executed (value+1 in fv)
	fv                 uint8
	det                bool
	trk                bool
	exp                bool // appears expired in the live set (clock jump)
	need               bool // writer waits for it
}
type strictAcknowledgedState struct {
	n            [2]h2n
	k, kv        uint8
	db, floor    uint8
	w            uint8
	acks, wanted uint8
	crash, lapse uint8
	jump, tpass  bool
	ops          uint8
}
