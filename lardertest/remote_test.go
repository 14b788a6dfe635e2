package lardertest

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFakeRemote holds the fake to the contract that the Redis tier fulfils.
func TestFakeRemote(t *testing.T) {
	RunRemote(t, func(*testing.T) Site {
		s := NewServer()
		return Site{A: s.Node(), B: s.Node(), Door: s}
	})
}

// TestFakeNamespaceRemote holds the same under a namespace.
func TestFakeNamespaceRemote(t *testing.T) {
	RunRemote(t, func(*testing.T) Site {
		s := NewServer()
		o := RemoteOptions{Namespace: "shop"}
		return Site{A: NewRemote(o, s), B: NewRemote(o, s), Door: s}
	})
}
