package larder_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/larder-go/larder"
)

// register knows which versions have been invalidated away, and since when.
type register struct {
	mu     sync.Mutex
	marks  map[string][]mark      // confirmed invalidations, by key
	strict map[string]int         // confirmed strictly
	own    map[int]map[string]int // invalidated by a node, confirmed or pending
	tokens []heldToken
}

type mark struct {
	version int
	at      time.Time
}

type heldToken struct {
	token    larder.Token
	versions map[string]int
}

func newRegister() *register {
	return &register{marks: map[string][]mark{}, strict: map[string]int{}, own: map[int]map[string]int{}}
}

// record notes the outcome of an invalidation that node n made.
func (g *register) record(n int, versions map[string]int, err error, strict bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.own[n] == nil {
		g.own[n] = map[string]int{}
	}
	for key, v := range versions {
		g.own[n][key] = max(g.own[n][key], v)
		if err == nil || errors.Is(err, larder.ErrNotStrict) {
			g.marks[key] = append(g.marks[key], mark{v, time.Now()})
		}
		if err == nil && strict {
			g.strict[key] = max(g.strict[key], v)
		}
	}
}

// least returns the versions that a read of node n must at least bring.
func (g *register) least(n int, tolerance time.Duration) map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	least := maps.Clone(g.strict)
	for key, v := range g.own[n] {
		least[key] = max(least[key], v)
	}
	for key, marks := range g.marks {
		for _, m := range marks {
			if tolerance == 0 || time.Since(m.at) > tolerance {
				least[key] = max(least[key], m.version)
			}
		}
	}
	return least
}

func (g *register) keepToken(token larder.Token, versions map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens = append(g.tokens, heldToken{token, versions})
}

func (g *register) anyToken(random *rand.Rand) (larder.Token, map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.tokens) == 0 {
		return larder.Token{}, nil
	}
	h := g.tokens[max(0, len(g.tokens)-1-random.IntN(3))]
	return h.token, h.versions
}
