package redistier

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Config says how to reach Redis. Its zero value is localhost:6379 without a
// password. It is copied by [New]; the TLS configuration is shared.
type Config struct {
	// Topology says what stands behind the addresses. Default: [Standalone].
	Topology Topology
	// Addresses are host:port of Sentinels, or of some servers of a Cluster.
	Addresses []string
	// MasterName is the name under which the Sentinels watch the master.
	MasterName string
	// SentinelUsername and SentinelPassword are those of the Sentinels.
	// Default: none.
	SentinelUsername, SentinelPassword string

	// Network is "tcp" or "unix". Default: tcp.
	Network string
	// Address is host:port, or for unix the path of the socket. Default:
	// localhost:6379.
	Address string
	// Username of the ACL user. Default: the default user.
	Username string
	// Password of the user. Default: none.
	Password string
	// DB is the number of the database. Default: 0.
	DB int
	// TLS turns encryption on. An empty ServerName becomes the host of
	// Address. Default: nil, none.
	TLS *tls.Config

	// DialTimeout bounds each of connecting with its handshake and the first
	// exchange. It is short because a hung server accepts connections without
	// answering, and must be found soon after it wakes. Default: 500 ms.
	DialTimeout time.Duration
	// MaxStaleness is that of the namespace, see larder.Options; Open sets it.
	// Default: 1 s.
	MaxStaleness time.Duration
	// BeatTimeout is for how long a heartbeat may stay unanswered before the
	// connection is replaced. At least twice the namespace's MaxStaleness.
	// Default: 2 s.
	BeatTimeout time.Duration
	// FlushDelay is for how long requests are collected before they are
	// written together while others are on their way; a request alone is
	// never delayed. It saves CPU time with hundreds of concurrent requests
	// and costs latency with a few. Default: 0, none.
	FlushDelay time.Duration

	// TrackingTableKeys is the directive tracking-table-max-keys of the servers,
	// for users who may not ask for it with CONFIG GET: [Config.Username] is
	// never used to ask, as the same right shows passwords. A table that is
	// smaller than said here overflows unnoticed, and memory is stale for
	// longer than MaxStaleness. Default: 1,000,000, as in Redis.
	TrackingTableKeys int64
	// NoTracking asks for no pushes, as if the server offered none: see
	// Untracked. A server that does not push is noticed without it. Default:
	// false.
	NoTracking bool
	// Untracked says what becomes of memory where the server does not push.
	// Default: [TTL].
	Untracked Untracked
	// OnFailover says what becomes of the entries when a server has lost its
	// latest writes. Default: [Clear].
	OnFailover OnFailover

	observer bool // takes part in nothing, see observe.go

	faults   []error
	warnings []string
}

// Topology is how the servers are arranged.
type Topology uint8

const (
	// Standalone is one server at Config.Address.
	Standalone Topology = iota
	// Sentinel is a master that Sentinels name and replace.
	Sentinel
	// Cluster is a Redis Cluster.
	Cluster
)

// OnFailover says what becomes of the entries of a server that restarted, maybe
// from a snapshot, or was replaced by its replica. Either may have brought
// deleted entries back.
type OnFailover uint8

const (
	// Clear outdates all of them before the first is used. It costs a load for
	// each entry that is still wanted.
	Clear OnFailover = iota
	// Replay keeps them. Deletions that the server lost are gone for good,
	// except those of the last minutes that a living process repeats: reads
	// may be outdated until the entry expires.
	Replay
)

// Untracked says what becomes of memory where the server does not push: RESP2
// servers, some proxies and some managed services.
type Untracked uint8

const (
	// TTL keeps entries for a quarter of MaxStaleness: a read may be outdated
	// for MaxStaleness, and a hot key costs a few round trips per second.
	TTL Untracked = iota
	// Validated keeps nothing that Redis has: every Get is a round trip, shared
	// by those who wait for it. Values of MemoryOnly keyspaces stay in memory
	// and are used only under generations read anew.
	Validated
)

const (
	defaultHost        = "localhost"
	defaultPort        = "6379"
	defaultDialTimeout = 500 * time.Millisecond
	defaultBeatTimeout = 2 * time.Second
	defaultStaleness   = time.Second
)

// Warnings returns what is accepted but surprising in the configuration, one
// sentence each.
func (c *Config) Warnings() []string { return c.warnings }

// Validate returns all faults of the configuration joined, those that
// [FromEnv] found included.
func (c *Config) Validate() error {
	faults := append([]error(nil), c.faults...)
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("redistier: "+format, args...))
	}
	switch c.Network {
	case "", "tcp":
		if err := checkAddress(cmp.Or(c.Address, net.JoinHostPort(defaultHost, defaultPort))); err != nil {
			fault("Address %q: %v", c.Address, err)
		}
	case "unix":
		if c.Address == "" {
			fault("Address must be the path of a socket when Network is unix")
		}
		if c.TLS != nil {
			fault("TLS cannot be used on a unix socket")
		}
	default:
		fault("Network %q must be tcp or unix", c.Network)
	}
	c.validateTopology(fault)
	if c.DB < 0 {
		fault("DB %d must not be negative", c.DB)
	}
	if c.OnFailover > Replay {
		fault("OnFailover %d is neither Clear nor Replay", c.OnFailover)
	}
	if c.Untracked > Validated {
		fault("Untracked %d is neither TTL nor Validated", c.Untracked)
	}
	if c.TrackingTableKeys < 0 {
		fault("TrackingTableKeys %d must not be negative", c.TrackingTableKeys)
	}
	if c.DialTimeout < 0 || c.BeatTimeout < 0 || c.FlushDelay < 0 {
		fault("DialTimeout %v, BeatTimeout %v and FlushDelay %v must not be negative", c.DialTimeout, c.BeatTimeout, c.FlushDelay)
	}
	return errors.Join(faults...)
}

func (c *Config) validateTopology(fault func(string, ...any)) {
	switch {
	case c.Topology > Cluster:
		fault("Topology %d is none of Standalone, Sentinel and Cluster", c.Topology)
		return
	case c.Topology == Standalone:
		if len(c.Addresses) > 0 {
			fault("Addresses are for Sentinels and clusters; a standalone server has one Address")
		}
		return
	case len(c.Addresses) == 0:
		fault("Addresses must name at least one Sentinel or server of the cluster")
	case c.Topology == Sentinel && c.MasterName == "":
		fault("MasterName must be the name under which the Sentinels watch the master")
	case c.Topology == Cluster && c.DB != 0:
		fault("DB %d: a cluster has database 0 only", c.DB)
	}
	for _, address := range c.Addresses {
		if err := checkAddress(address); err != nil {
			fault("Addresses %q: %v", address, err)
		}
	}
	if c.Address != "" || c.Network == "unix" {
		fault("Address and Network are for a standalone server")
	}
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("must have the form host:port, for example cache.internal:6379")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return errors.New("the port must be a number from 1 to 65535")
	}
	return nil
}

// withDefaults returns the configuration with every default filled in.
func (c Config) withDefaults() Config {
	c.Network = cmp.Or(c.Network, "tcp")
	c.Address = cmp.Or(c.Address, net.JoinHostPort(defaultHost, defaultPort))
	c.DialTimeout = cmp.Or(c.DialTimeout, defaultDialTimeout)
	c.MaxStaleness = cmp.Or(c.MaxStaleness, defaultStaleness)
	c.BeatTimeout = cmp.Or(c.BeatTimeout, defaultBeatTimeout)
	return c
}

// at returns the configuration for the server at address.
func (c Config) at(address string) Config {
	c.Address = address
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		if host, _, err := net.SplitHostPort(address); err == nil && c.TLS.ServerName == "" {
			c.TLS.ServerName = host
		}
	}
	return c
}
