// Package config reads the settings of qadash from the environment.
//
// Every variable is described once, in Variables; reading, the output of
// "qadash config" and the table in the documentation come from there. A bad
// value is an *Error that names the variable, the form of its value and an
// example; all faults are reported together.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"
)

// Config holds the settings of one process. The zero value is not usable; Load
// makes one.
type Config struct {
	Addr       string // host:port to listen on
	PprofAddr  string // loopback host:port for profiles; empty: none
	Database   Database
	Auth       AuthMode
	AdminToken string // secret; grants the admin scope
	Branch     string // the default branch, whose newest runs the overview judges
	// PublicURL is where readers find this server; in webhooks. May be empty.
	PublicURL string
	// WebhookPrivate lets webhooks go to private addresses.
	WebhookPrivate bool
	LogLevel       slog.Level
	LogFormat      string // "text" or "json"
	Cache          Cache
	Redis          Redis
	Warnings       []string // for the log: accepted, but worth knowing
}

// AuthMode says who may change data.
type AuthMode string

// The modes of authentication.
const (
	AuthAuto  AuthMode = "auto"  // tokens required unless Addr is a loopback address
	AuthToken AuthMode = "token" // tokens always required for changes
)

// Database names the store.
type Database struct {
	Driver string // "sqlite" or "postgres"
	DSN    string // a file path for sqlite, a URL for postgres
}

// Cache holds the CACHE_ variables.
type Cache struct {
	Enabled      bool
	Namespace    string
	MemoryBytes  int64         // budget of the memory tier
	MaxStaleness time.Duration // 0: the library's default
	TTL          TTL
	ReadTimeout  time.Duration // of one call to Redis; 0: the library's default
	MaxValue     int64         // largest cached value in bytes; 0: the library's default
	CompressMin  int64         // smallest compressed value in bytes; negative: none is
	KeyFile      string        // path of the keys for encryption; empty: none
}

// TTL holds the time-to-live classes that the dashboard uses.
type TTL struct {
	Short, Medium, Long, Extended, Default time.Duration
}

// Redis holds the REDIS_ variables as far as they are checked and shown here.
// The connection itself is made by the cache library from the same variables.
type Redis struct {
	URL      string // wins over the others when set
	Host     string
	Port     int
	Username string
	Password string
	DB       int
	Several  string // addresses of Sentinels or of nodes of a cluster; win over Host and Port
}

// Explicit reports whether somebody named a Redis; if not, the default address
// is tried and its absence is no fault.
func (r Redis) Explicit() bool {
	return r.URL != "" || r.Several != "" || r.Host != "localhost" || r.Port != 6379
}

// Env is where variables come from: os.LookupEnv in a process.
type Env func(name string) (value string, ok bool)

// Error is one bad variable.
type Error struct {
	Variable string
	Value    string // masked when the variable is a secret
	Form     string
	Example  string
	Reason   string // more than the form says; may be empty
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %q is not %s", e.Variable, e.Value, e.Form)
	if e.Reason != "" {
		fmt.Fprintf(&b, " (%s)", e.Reason)
	}
	fmt.Fprintf(&b, "; example: %s=%s", e.Variable, e.Example)
	return b.String()
}

// Fault returns the error of a variable whose value passed Load and was found
// bad where it is used. It panics if there is no such variable.
func Fault(name, value string, cause error) *Error {
	v := describe(name)
	return &Error{Variable: name, Value: value, Form: v.Form, Example: v.Example, Reason: cause.Error()}
}

// Load reads and checks all variables. The error joins an *Error per bad one.
// An empty variable counts as absent. Files named by *_FILE variables are read
// once, here.
func Load(env Env) (Config, error) {
	r := reader{env: env}
	c := Config{
		Addr:           r.addr("ADDR"),
		PprofAddr:      r.pprof("PPROF_ADDR"),
		Database:       r.database("DATABASE_URL"),
		Auth:           AuthMode(r.word("AUTH_MODE", string(AuthAuto), string(AuthToken))),
		AdminToken:     r.secret("ADMIN_TOKEN"),
		Branch:         r.text("DEFAULT_BRANCH"),
		PublicURL:      r.publicURL("PUBLIC_URL"),
		LogLevel:       r.level("LOG_LEVEL"),
		WebhookPrivate: r.boolean("WEBHOOK_ALLOW_PRIVATE"),
		LogFormat:      r.word("LOG_FORMAT", "text", "json"),
		Cache:          r.cache(),
		Redis:          r.redis(),
	}
	r.checkToken(c)
	c.Warnings = r.warnings
	return c, errors.Join(r.faults...)
}

// FromOS loads from the environment of the process.
func FromOS() (Config, error) { return Load(os.LookupEnv) }

// Faults lists the bad variables in an error of Load.
func Faults(err error) []*Error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return nil
	}
	var out []*Error
	for _, e := range joined.Unwrap() {
		if fault, ok := errors.AsType[*Error](e); ok {
			out = append(out, fault)
		}
	}
	return out
}
