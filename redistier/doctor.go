package redistier

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Level is how grave a [Finding] is.
type Level string

// The levels, the least grave first.
const (
	LevelOK      Level = "ok"
	LevelNote    Level = "note"    // worth knowing, nothing to do
	LevelSkipped Level = "skipped" // could not be looked at
	LevelWarning Level = "warning" // works, and will hurt some day
	LevelFailed  Level = "failed"  // does not work, or a promise does not hold
)

// Finding is what one check of [Doctor] found.
type Finding struct {
	Check  string // its name: connect, version, role …
	Server string // address; empty: all of them
	Level  Level
	Text   string // what was found
	Advice string // what to do; empty if nothing is
}

// Problem reports whether somebody should do something.
func (f *Finding) Problem() bool { return f.Level == LevelWarning || f.Level == LevelFailed }

// Doctor examines the Redis of a namespace from this machine, as a program with
// this configuration would meet it: connection, version, role, RESP3, pushes and
// their table, rights, memory and eviction, persistence, clocks, latency,
// replicas, the state of a cluster, and other namespaces in the way.
//
// It returns all findings. The error, beside that of a bad configuration, is why
// Redis could not be reached, which is also the first finding; [Denied] tells
// whether it refused the user. Rights are proved by using them, on keys of the
// examination's own that it deletes; nothing else is changed. It costs some
// dozens of round trips and up to 100 SCANs per master.
func Doctor(ctx context.Context, cfg Config, namespace string) ([]Finding, error) {
	if err := errors.Join(cfg.Validate(), checkNamespace(namespace)); err != nil {
		return nil, err
	}
	var list []Finding
	for _, warning := range cfg.Warnings() {
		list = append(list, Finding{Check: "configuration", Level: LevelWarning, Text: warning})
	}
	i, err := Inspect(ctx, cfg, namespace)
	if err != nil {
		return append(list, Finding{Check: "connect", Server: cfg.withDefaults().where(), Level: LevelFailed, Text: err.Error(), Advice: cure(&cfg, err)}), err
	}
	defer i.Close()
	exams, err := i.examine(ctx)
	if err != nil {
		return append(list, Finding{Check: "connect", Level: LevelFailed, Text: err.Error(), Advice: cure(&cfg, err)}), err
	}
	for _, e := range exams {
		for _, check := range checks {
			for _, f := range check.run(ctx, e) {
				f.Check, f.Server = check.name, e.Address
				list = append(list, f)
			}
		}
	}
	return append(list, i.checkNamespaces(ctx)...), nil
}

// where names the servers of a configuration.
func (c Config) where() string {
	if c.Topology == Standalone {
		return c.Address
	}
	return strings.Join(c.Addresses, ",")
}

// cure says what to do about an error of connecting.
func cure(cfg *Config, err error) string {
	text := err.Error()
	var dns *net.DNSError
	const unnamed = "no Sentinel names the master"
	switch {
	case Denied(err) && strings.Contains(text, unnamed):
		return "check REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD"
	case Denied(err):
		return "check REDIS_USERNAME and REDIS_PASSWORD, and with ACL LIST what the user may do"
	case errors.As(err, &dns):
		return "check the host name in REDIS_URL or REDIS_HOST"
	case strings.Contains(text, "tls:"), strings.Contains(text, "x509:"):
		return "check the REDIS_TLS variables and the server's certificate"
	case strings.Contains(text, unnamed):
		return "check REDIS_SENTINEL_ADDRS and REDIS_SENTINEL_MASTER"
	case strings.Contains(text, "connection refused"):
		return "start Redis there, or check host and port; nobody listens"
	case cfg.TLS != nil && errors.Is(err, context.DeadlineExceeded):
		return "the port may not speak TLS: check REDIS_TLS and tls-port; else a firewall drops packets, or the server hangs"
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "timeout"):
		return "a firewall may drop packets, or the server hangs"
	}
	return "check the address, and the log of the server"
}

// exam is one master under examination.
type exam struct {
	Server
	inspector *Inspector
	conn      *conn
	config    map[string]string // what CONFIG GET told
	denied    bool              // CONFIG GET is refused
	cluster   string            // CLUSTER INFO
}

// consulted are the settings that checks look at.
var consulted = []string{
	"tracking-table-max-keys", "min-replicas-to-write", "min-replicas-max-lag", "cluster-node-timeout", "save",
	"stop-writes-on-bgsave-error", "maxclients",
}

func (i *Inspector) examine(ctx context.Context) ([]*exam, error) {
	conns, err := i.masters()
	if err != nil {
		return nil, err
	}
	var exams []*exam
	for _, c := range conns {
		e := &exam{inspector: i, conn: c, config: map[string]string{}}
		if e.Server, err = c.facts(ctx); err != nil {
			return nil, err
		}
		e.readConfig(ctx)
		exams = append(exams, e)
	}
	return exams, nil
}

func (e *exam) readConfig(ctx context.Context) {
	var commands []rueidis.Completed
	for _, name := range consulted {
		commands = append(commands, e.conn.client.B().ConfigGet().Parameter(name).Build())
	}
	if e.conn.keys.clustered() {
		commands = append(commands, e.conn.client.B().ClusterInfo().Build())
	}
	results := e.conn.send(ctx, commands)
	for i := range consulted {
		pairs, err := results[i].AsStrMap()
		e.denied = e.denied || err != nil
		for name, value := range pairs {
			e.config[name] = value
		}
	}
	if e.conn.keys.clustered() {
		e.cluster, _ = results[len(consulted)].ToString() // without the right, CLUSTER SLOTS tells enough to work
	}
}

// setting returns a number of the server's configuration; false if it was not told.
func (e *exam) setting(name string) (int64, bool) {
	value, ok := e.config[name]
	return number(value), ok
}

// check looks at one side of a server.
type check struct {
	name string
	run  func(context.Context, *exam) []Finding
}

// checks are in the order in which a person should read them: what fails first
// explains what fails later.
var checks = []check{
	{"connect", checkConnect},
	{"version", checkVersion},
	{"role", checkRole},
	{"pushes", checkPushes},
	{"push table", checkTable},
	{"rights", checkRights},
	{"memory", checkMemory},
	{"persistence", checkPersistence},
	{"clock", checkClock},
	{"latency", checkLatency},
	{"replicas", checkReplicas},
	{"cluster", checkCluster},
	{"clients", checkClients},
	{"security", checkSecurity},
	{"settings", checkSettings},
}

func found(level Level, text, advice string, args ...any) []Finding {
	return []Finding{{Level: level, Text: fmt.Sprintf(text, args...), Advice: advice}}
}

func checkConnect(_ context.Context, e *exam) []Finding {
	return found(LevelOK, "%s, up for %v", "", e.Mode, e.Uptime)
}

// oldest is the first version with client tracking, tested the one from which
// the tests of this project begin.
const oldest, tested = 6, 7

func checkVersion(_ context.Context, e *exam) []Finding {
	if strings.HasPrefix(e.Version, "valkey ") {
		return found(LevelOK, "%s", "", e.Version)
	}
	major, _, _ := strings.Cut(e.Version, ".")
	switch n := number(major); {
	case n < oldest:
		return found(LevelFailed, "Redis %s cannot push changes: memory keeps entries for a quarter of MaxStaleness only",
			"upgrade to Redis 6 or newer, or to Valkey", e.Version)
	case n < tested:
		return found(LevelNote, "Redis %s works; this version of Larder is tested with 7.0 and newer", "", e.Version)
	}
	return found(LevelOK, "Redis %s", "", e.Version)
}

func checkRole(_ context.Context, e *exam) []Finding {
	if e.Role != "master" {
		return found(LevelFailed, "this server is a replica of %s:%s and refuses writes: nothing is stored, no invalidation is confirmed",
			"name the master, or let REDIS_SENTINEL_ADDRS or REDIS_CLUSTER_ADDRS find it", e.Info["master_host"], e.Info["master_port"])
	}
	return found(LevelOK, "master", "")
}

const skewLimit = time.Second

func checkClock(_ context.Context, e *exam) []Finding {
	offset := e.Offset.Round(time.Millisecond)
	if offset.Abs() > skewLimit+e.RoundTrip {
		return found(LevelWarning, "its clock and that of this machine differ by %v: no promise depends on it, but after a failover to a server whose clock differs, deadlines move by as much",
			"let NTP or chrony set both clocks", offset)
	}
	return found(LevelOK, "differs from this machine's by %v", "", offset)
}

// slowTrip is half of what a read may take by default.
const slowTrip = 25 * time.Millisecond

func checkLatency(_ context.Context, e *exam) []Finding {
	trip := e.RoundTrip.Round(10 * time.Microsecond)
	if trip > slowTrip {
		return found(LevelWarning, "a round trip takes %v; reads give up after 50 ms by default and load instead",
			"bring Redis nearer, or raise ReadTimeout (CACHE_READ_TIMEOUT)", trip)
	}
	return found(LevelOK, "a round trip takes %v", "", trip)
}
