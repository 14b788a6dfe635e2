package model

// Locks: a lock is a key with the holder's token and a time to live of three
// ticks, renewed while it is held. A holder trusts it until three ticks after
// it sent the request that was granted, then its context is cancelled. Discrete
// time; replies may be late or lost; a holder may be paused between looking at
// its context and writing. Each acquisition gets a number that grows, the
// fence; the resource refuses a write with a lower number than it has seen.
//
// L1: no two holders with living contexts. L2: no write of an earlier holder
// after one of a later holder. L1 ends where Redis loses the key, L2 does not.
var locks = configuration{
	name: "locks", promises: "L1 L2",
	mutants: []mutant{
		{name: "replytime", rule: "the lock is trusted from the reply on"},
		{name: "plainrelease", rule: "release deletes the key whoever holds it"},
		{name: "anyrenewal", rule: "a renewal extends the lock whoever holds it"},
		{name: "nocancel", rule: "the context lives on without a renewal"},
		{name: "nofence", rule: "the resource takes every write of whoever had a living context"},
		{name: "lost", rule: "L1 is expected although Redis loses the key: why a fence is needed"},
		{name: "lostfenced", harmless: true, rule: "Redis loses the key and only L2 is expected"},
	},
	run: func(mut string) outcome {
		init := lockState{attempts: bound(mut, 3, 2), renewals: 1, writes: 2}
		if mut == "lost" || mut == "lostfenced" {
			init.attempts, init.losses = 2, 1
		}
		return explore(init, func(s lockState, e edges[lockState]) { s.steps(mut, e) }, func(s lockState) string {
			if mut != "lostfenced" && mut != "nofence" && s.trusts(0, mut) && s.trusts(1, mut) {
				return "L1: two holders at once"
			}
			return ""
		})
	},
}

const lockTTL = 3

type lockState struct {
	now      uint8
	owner    uint8 // token in the key, 0: absent
	until    uint8 // when the key expires
	fence    uint8 // last number handed out
	seen     uint8 // highest number the resource has seen
	holder   [2]lockHolder
	attempts uint8
	losses   uint8
	writes   uint8
	renewals uint8
}

type lockHolder struct {
	request uint8 // 0 none, 1 acquire sent, 2 granted, 3 renewal sent, 4 renewed, 5 release sent
	sent    uint8
	held    bool
	token   uint8
	number  uint8 // fence
	trust   uint8 // its context lives until then
	writing bool  // looked at its context, has not written yet
}

func (s *lockState) trusts(i int, mut string) bool {
	h := s.holder[i]
	return h.held && (s.now < h.trust || mut == "nocancel")
}

func (s lockState) steps(mut string, e edges[lockState]) {
	if s.now < 7 {
		x := s
		x.now++
		if x.owner != 0 && x.now >= x.until {
			x.owner, x.until = 0, 0
		}
		e.to(x, "tick %d", x.now)
	}
	if s.losses > 0 && s.owner != 0 {
		x := s
		x.losses--
		x.owner, x.until = 0, 0
		e.to(x, "Redis loses the key")
	}
	for i := range s.holder {
		s.execute(mut, e, i)
		s.reply(mut, e, i)
		s.use(mut, e, i)
	}
}

// execute is the server's side of a request.
func (s lockState) execute(mut string, e edges[lockState], i int) {
	x := s
	h := &x.holder[i]
	switch {
	case h.request == 1 && s.owner == 0:
		x.fence++
		x.owner, x.until = h.token, x.now+lockTTL
		h.number, h.request = x.fence, 2
		e.to(x, "lock granted to %d with number %d", i, x.fence)
	case h.request == 1:
		h.request, h.token = 0, 0
		e.to(x, "lock refused to %d", i)
	case h.request == 3:
		h.request = 0
		if s.owner == h.token || mut == "anyrenewal" && s.owner != 0 {
			x.until = x.now + lockTTL
			h.request = 4
		}
		e.to(x, "renewal of %d executed: %v", i, h.request == 4)
	case h.request == 5:
		if s.owner == h.token || mut == "plainrelease" {
			x.owner, x.until = 0, 0
		}
		*h = lockHolder{}
		e.to(x, "release of %d executed", i)
	}
}

// reply brings the answer to the holder, or loses it.
func (s lockState) reply(mut string, e edges[lockState], i int) {
	h := s.holder[i]
	if h.request != 2 && h.request != 4 {
		return
	}
	x := s
	from := h.sent
	if mut == "replytime" {
		from = s.now
	}
	x.holder[i].request, x.holder[i].held, x.holder[i].trust = 0, true, from+lockTTL
	e.to(x, "reply: %d trusts the lock until %d", i, from+lockTTL)
	x = s
	x.holder[i].request = 0
	if h.request == 2 {
		x.holder[i] = lockHolder{} // waits for its expiry
	}
	e.to(x, "the reply to %d is lost", i)
}

// use is what the holder does.
func (s lockState) use(mut string, e edges[lockState], i int) {
	x := s
	h := &x.holder[i]
	if h.writing {
		x.write(mut, e, i)
		return
	}
	if h.request != 0 {
		return
	}
	switch {
	case !h.held && s.attempts > 0:
		x.attempts--
		*h = lockHolder{request: 1, sent: x.now, token: x.attempts + 1}
		e.to(x, "%d asks for the lock at %d", i, x.now)
	case h.held && s.trusts(i, mut):
		if s.writes > 0 {
			x.writes--
			h.writing = true
			e.to(x, "%d sees its context alive and begins to write", i)
		}
		x = s
		if s.renewals > 0 {
			x.renewals--
			h.request, h.sent = 3, x.now
			e.to(x, "%d asks for a renewal at %d", i, x.now)
		}
		x = s
		h.held, h.request = false, 5
		e.to(x, "%d asks for a release", i)
	case h.held:
		h.held, h.request = false, 5
		e.to(x, "the context of %d is cancelled, it releases", i)
	}
}

// write is the write of a holder, arbitrarily late, at the resource.
func (s lockState) write(mut string, e edges[lockState], i int) {
	h := &s.holder[i]
	h.writing = false
	late := h.number < s.seen
	if late && mut != "nofence" {
		e.to(s, "the resource refuses the write of %d", i)
		return
	}
	s.seen = max(s.seen, h.number)
	if late {
		e.bad(s, "L2: an earlier holder wrote after a later one", "%d writes with number %d", i, h.number)
		return
	}
	e.to(s, "%d writes with number %d", i, h.number)
}
