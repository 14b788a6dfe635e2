package model

// Strict by waiting, in discrete time with T = 3 ticks: node B has an entry and a
// link that may be cut at any time, after which pushes lie on the wire for ever
// and heartbeats stay unanswered.
var strictWait = configuration{
	name: "strict", promises: "P3",
	mutants: []mutant{
		{name: "sendwait", rule: "the wait is counted from the sending of the DEL"},
		{name: "asofreply", rule: "a heartbeat is credited with the time of its reply"},
		{name: "dbig", rule: "a call accepts more than T"},
		{name: "tdiff", rule: "a node is configured with more than T"},
		{name: "outage", rule: "stale values are served during the outage"},
	},
	run: func(mut string) outcome {
		const T = 3
		D := int8(T)
		if mut == "dbig" || mut == "tdiff" {
			D = 5
		}
		if mut == "outage" {
			D = 100
		}
		step := func(s strictWaitState, e edges[strictWaitState]) {
			x := s
			if s.now < 12 {
				x.now++
				e.to(x, "tick %d", x.now)
			}
			if s.link {
				x = s
				x.link = false
				e.to(x, "B's link is cut")
			}
			x = s
			switch s.del {
			case 0:
				x.del, x.sentAt = 1, x.now
				e.to(x, "DEL sent at %d", x.now)
			case 1:
				x.del, x.push = 2, true
				e.to(x, "DEL executed")
			case 2:
				x.del, x.repAt = 3, x.now
				e.to(x, "DEL reply at %d", x.now)
			case 3:
				b := s.repAt
				if mut == "sendwait" {
					b = s.sentAt
				}
				if s.now > b+T {
					x.del = 4
					e.to(x, "Strict returns at %d", x.now)
				}
			}
			if s.push && s.link {
				x = s
				x.push, x.fresh, x.hbPush = false, true, false
				e.to(x, "B handles push")
			}
			switch s.hb {
			case 0:
				x = s
				x.hb, x.hbs = 1, int8(s.now)
				e.to(x, "B sends heartbeat at %d", s.now)
			case 1:
				if s.link {
					x = s
					x.hb, x.hbPush = 2, s.push
					e.to(x, "heartbeat executed")
				}
			case 2:
				if s.link && !s.hbPush {
					x = s
					x.hb = 0
					x.asOf = x.hbs
					if mut == "asofreply" {
						x.asOf = int8(x.now)
					}
					e.to(x, "heartbeat acknowledged, asOf=%d", x.asOf)
				}
			}
			if s.del == 4 && !s.fresh && s.asOf >= int8(s.now)-D {
				e.bad(s, "P3: memory hit with the old value after Strict returned", "B Get at %d, asOf %d", s.now, s.asOf)
			}
		}
		return explore(strictWaitState{link: true}, step, holds[strictWaitState])
	},
}

type strictWaitState struct {
	now           uint8
	link          bool  // up
	del           uint8 // 0 idle 1 sent 2 executed 3 replied/waiting 4 returned
	sentAt, repAt uint8
	fresh         bool // entry removed (push handled)
	push          bool // push on the wire
	asOf          int8
	hb            uint8 // 0 none 1 sent 2 executed(reply on the wire)
	hbs           int8
	hbPush        bool // push precedes the reply on the wire
}
