package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reader collects the faults of one pass over the environment.
type reader struct {
	env      Env
	faults   []error
	warnings []string
}

// raw returns the value or the default; explicit tells which.
func (r *reader) raw(name string) (value string, explicit bool) {
	if v, ok := r.env(name); ok && v != "" {
		return v, true
	}
	return describe(name).Default, false
}

func (r *reader) fault(name, value, reason string) {
	v := describe(name)
	if v.Secret {
		value = mask(name, value)
	}
	r.faults = append(r.faults, &Error{Variable: name, Value: value, Form: v.Form, Example: v.Example, Reason: reason})
}

func (r *reader) word(name string, allowed ...string) string {
	v, _ := r.raw(name)
	if !slices.Contains(allowed, v) {
		r.fault(name, v, "")
	}
	return v
}

func (r *reader) text(name string) string {
	v, _ := r.raw(name)
	if len(v) > 200 {
		r.fault(name, v[:20]+"…", fmt.Sprintf("it has %d bytes", len(v)))
	}
	return v
}

func (r *reader) addr(name string) string {
	v, _ := r.raw(name)
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.fault(name, v, "")
	}
	return v
}

func (r *reader) database(name string) Database {
	v := r.secret(name)
	if path, ok := strings.CutPrefix(v, "sqlite:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			r.fault(name, v, "the path is missing")
		}
		return Database{Driver: "sqlite", DSN: path}
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Host == "" {
		r.fault(name, v, "")
	}
	return Database{Driver: "postgres", DSN: v}
}

func (r *reader) level(name string) slog.Level {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	return levels[r.word(name, "debug", "info", "warn", "error")]
}

func (r *reader) boolean(name string) bool {
	v, _ := r.raw(name)
	b, err := strconv.ParseBool(strings.ToLower(v))
	if err != nil {
		r.fault(name, v, "")
	}
	return b
}

func (r *reader) number(name string, low, high int) int {
	v, _ := r.raw(name)
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		r.fault(name, v, "")
	}
	return n
}

// Bounds that the cache has; a value beyond them would stop the program later, under
// a name that is none of a variable.
const (
	leastTTL, mostTTL             = time.Millisecond, 365 * 24 * time.Hour
	leastStaleness, mostStaleness = 20 * time.Millisecond, time.Hour
	leastTimeout, mostTimeout     = time.Millisecond, time.Hour
	leastMemory, mostMemory       = 64 << 10, 1 << 40
	leastValue, mostValue         = 1, 1 << 42
)

func (r *reader) ttl(name string) time.Duration { return r.duration(name, leastTTL, mostTTL) }

// duration accepts Go durations and, as the original did, bare seconds.
func (r *reader) duration(name string, least, most time.Duration) time.Duration {
	v, _ := r.raw(name)
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		var n int64
		if n, err = strconv.ParseInt(v, 10, 32); err == nil {
			d = time.Duration(n) * time.Second
		}
	}
	switch {
	case err != nil:
		r.fault(name, v, "")
	case d < least:
		r.fault(name, v, "the least is "+short(least))
	case d > most:
		r.fault(name, v, "the most is "+short(most))
	}
	return d
}

// short writes a duration without the zeros of smaller units.
func short(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func (r *reader) bytes(name string, least, most int64) int64 {
	v, _ := r.raw(name)
	if v == "" {
		return 0
	}
	digits, unit := v, int64(1)
	for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if d, ok := strings.CutSuffix(v, suffix); ok {
			digits, unit = strings.TrimSpace(d), size
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || n < 0:
		r.fault(name, v, "")
	case n*unit < least && n <= most/unit:
		r.fault(name, v, fmt.Sprint("the least is ", least))
	case n > most/unit:
		r.fault(name, v, fmt.Sprint("the most is ", most))
	}
	return n * unit
}

// compressMin is bytes from 1, or -1 for off.
func (r *reader) compressMin(name string) int64 {
	v, _ := r.raw(name)
	if v == "off" {
		return -1
	}
	faults := len(r.faults)
	n := r.bytes(name, 0, mostValue)
	if n == 0 && len(r.faults) == faults {
		r.fault(name, v, "")
	}
	return n
}

// plain returns text that is checked where it is used.
func (r *reader) plain(name string) string {
	v, _ := r.raw(name)
	return v
}

// secret reads NAME or the file that NAME_FILE names, never both.
func (r *reader) secret(name string) string {
	v, direct := r.raw(name)
	path, ok := r.env(name + "_FILE")
	if !ok || path == "" {
		return v
	}
	if direct {
		r.fault(name, v, "it is set and "+name+"_FILE is set too; keep one")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		r.faults = append(r.faults, &Error{Variable: name + "_FILE", Value: path, Form: "the path of a readable file",
			Example: "/run/secrets/" + strings.ToLower(name), Reason: reason(err)})
	}
	return strings.TrimRight(string(data), "\r\n")
}

// reason keeps the cause of a file error and leaves out the path, which the
// message has already.
func reason(err error) string {
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+len(": "):]
}

var namespaceForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (r *reader) cache() Cache {
	namespace, _ := r.raw("CACHE_NAMESPACE")
	if !namespaceForm.MatchString(namespace) {
		r.fault("CACHE_NAMESPACE", namespace, "")
	}
	return Cache{
		Enabled:      r.boolean("CACHE_ENABLED"),
		Namespace:    namespace,
		MemoryBytes:  r.bytes("CACHE_MEMORY_BYTES", leastMemory, mostMemory),
		MaxStaleness: r.duration("CACHE_MAX_STALENESS", leastStaleness, mostStaleness),
		TTL: TTL{Short: r.ttl("CACHE_TTL_SHORT"), Medium: r.ttl("CACHE_TTL_MEDIUM"), Long: r.ttl("CACHE_TTL_LONG"),
			Extended: r.ttl("CACHE_TTL_EXTENDED"), Default: r.ttl("CACHE_TTL_DEFAULT")},
		ReadTimeout: r.duration("CACHE_READ_TIMEOUT", leastTimeout, mostTimeout),
		MaxValue:    r.bytes("CACHE_MAX_VALUE", leastValue, mostValue),
		CompressMin: r.compressMin("CACHE_COMPRESS_MIN"),
		KeyFile:     r.plain("CACHE_KEY_FILE"),
	}
}

func (r *reader) redis() Redis {
	host, _ := r.raw("REDIS_HOST")
	if strings.ContainsAny(host, " /\t\n") {
		r.fault("REDIS_HOST", host, "")
	}
	username := r.plain("REDIS_USERNAME")
	r.number("REDIS_TRACKING_TABLE_MAX_KEYS", 1, 1<<40) // the library reads it again
	r.word("REDIS_UNTRACKED", "ttl", "validated")
	r.secret("REDIS_SENTINEL_PASSWORD")
	return Redis{
		URL: r.redisURL("REDIS_URL"), Host: host, Port: r.number("REDIS_PORT", 1, 65535), Username: username,
		Password: r.redisPassword("REDIS_PASSWORD"), DB: r.number("REDIS_DB", 0, 1023),
		Several: r.addresses("REDIS_SENTINEL_ADDRS") + r.addresses("REDIS_CLUSTER_ADDRS"),
	}
}

// addresses checks a list roughly; the library reads it again.
func (r *reader) addresses(name string) string {
	v, _ := r.raw(name)
	if v != "" && (strings.ContainsAny(v, "/@") || strings.Trim(v, ", ") == "") {
		r.fault(name, v, "")
	}
	return v
}

func (r *reader) redisURL(name string) string {
	v, _ := r.raw(name)
	if v == "" {
		return ""
	}
	scheme, _, ok := strings.Cut(v, "://")
	kind, _, several := strings.Cut(scheme, "+") // of lists of hosts package url knows nothing
	if _, err := url.Parse(v); !several && err != nil {
		ok = false
	}
	if !ok || !slices.Contains([]string{"redis", "rediss", "unix", "valkey", "valkeys"}, kind) {
		r.fault(name, v, "")
	}
	return v
}

func (r *reader) pprof(name string) string {
	v, _ := r.raw(name)
	if v == "" {
		return ""
	}
	if _, port, err := net.SplitHostPort(v); err != nil || port == "" || !loopback(v) {
		r.fault(name, v, "")
	}
	return v
}

func (r *reader) publicURL(name string) string {
	v, _ := r.raw(name)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		r.fault(name, v, "")
	}
	return strings.TrimRight(v, "/")
}

// redisPassword treats the word None as no password: environments of the
// Python original carry it. The connection warns of it.
func (r *reader) redisPassword(name string) string {
	v := r.secret(name)
	if v == "None" {
		return ""
	}
	return v
}

func (r *reader) checkToken(c Config) {
	bad := func(c rune) bool { return c <= ' ' || c > '~' }
	if c.AdminToken != "" && (len(c.AdminToken) < 16 || strings.ContainsFunc(c.AdminToken, bad)) {
		r.fault("ADMIN_TOKEN", c.AdminToken, "")
	}
	if c.AdminToken == "" && c.RequiresToken() {
		r.warnings = append(r.warnings, "changes need a token and ADMIN_TOKEN is not set: this server is read-only")
	}
}

// RequiresToken reports whether changes need a bearer token.
func (c Config) RequiresToken() bool { return c.Auth == AuthToken || !loopback(c.Addr) }

func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
