package lardertest

import "time"

// The faults of the network between one cache and its servers, under the names
// that [Proxy] gives them.

// Delay makes every message take d in each direction; a round trip costs 2d.
func (r *Remote) Delay(d time.Duration) {
	r.each(func(l *link) { l.delay = d })
}

// Hold lets nothing pass: requests are kept back before the server, pushes and
// replies behind it. They arrive after Resume.
func (r *Remote) Hold() {
	r.each(func(l *link) { l.held = true })
}

// HoldPushes delays pushes for as long as the order on the wire allows, that
// is until a later reply is due or Resume is called.
func (r *Remote) HoldPushes() {
	r.each(func(l *link) { l.holdPushes = true })
}

// Cut breaks the connections and refuses new ones until Resume.
func (r *Remote) Cut() {
	r.each(func(l *link) { l.cut = true })
	r.Drop()
}

// Drop breaks the present connections; new ones work.
func (r *Remote) Drop() {
	for _, l := range r.links {
		l.drop(ErrLost)
	}
}

// Resume ends Hold, HoldPushes and Cut.
func (r *Remote) Resume() {
	r.each(func(l *link) { l.held, l.holdPushes, l.cut = false, false, false })
}

func (r *Remote) each(f func(*link)) {
	for _, l := range r.links {
		l.change(func() { f(l) })
	}
}
