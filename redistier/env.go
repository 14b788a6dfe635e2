package redistier

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// EnvError reports an environment variable whose value cannot be used.
type EnvError struct {
	Variable string // its name
	Problem  string // what is wrong; never contains a secret
	Form     string // the form a value must have
	Example  string // a value of that form
}

// Error names the variable, what is wrong, the form and an example.
func (e *EnvError) Error() string {
	return fmt.Sprintf("%s %s: want %s, for example %s=%s", e.Variable, e.Problem, e.Form, e.Variable, e.Example)
}

// FromEnv reads the configuration from the environment. A variable that is
// empty counts as not set.
//
//	REDIS_URL            redis://, rediss:// or unix:// URL, or one of those below; wins
//	                     over all but REDIS_TLS and the user and password of Sentinels
//	REDIS_CLUSTER_ADDRS  host:port of some servers of a cluster, separated by commas
//	REDIS_SENTINEL_ADDRS host:port of Sentinels, separated by commas
//	REDIS_SENTINEL_MASTER    the name under which they watch the master
//	REDIS_SENTINEL_USERNAME  none
//	REDIS_SENTINEL_PASSWORD  none
//	REDIS_SENTINEL_PASSWORD_FILE  a file with it, instead of REDIS_SENTINEL_PASSWORD
//	REDIS_HOST           localhost
//	REDIS_PORT           6379
//	REDIS_DB             0
//	REDIS_USERNAME       none
//	REDIS_PASSWORD       none; the word None means none as well, with a warning
//	REDIS_PASSWORD_FILE  a file with the password, instead of REDIS_PASSWORD
//	REDIS_TLS            true or false; by default true if one of the next is set
//	REDIS_TLS_CA_FILE    PEM certificates that may sign the server's
//	REDIS_TLS_CERT_FILE  PEM certificate of this client, with REDIS_TLS_KEY_FILE
//	REDIS_TLS_KEY_FILE   its private key
//	REDIS_TLS_SERVER_NAME  name in the server's certificate; by default the host
//	REDIS_TLS_INSECURE   true accepts any certificate
//	REDIS_TRACKING_TABLE_MAX_KEYS  1000000; see [Config.TrackingTableKeys]
//	REDIS_UNTRACKED      ttl or validated; see [Config.Untracked]
//
// URLs of several servers are redis+cluster://[user:password@]h1:port,h2:port
// and redis+sentinel://[user:password@]s1:port,s2:port/master[?db=n], where the
// password is that of the master; with rediss instead of redis they use TLS.
//
// Faults do not make FromEnv fail: they are kept in the configuration, and
// Open, [New] and [Config.Validate] report all of them at once, each as an
// [EnvError].
func FromEnv() Config { return fromEnv(os.Getenv) }

// FromGetenv is [FromEnv] with variables from elsewhere, such as the flags of a
// program.
func FromGetenv(getenv func(name string) string) Config { return fromEnv(getenv) }

func fromEnv(getenv func(string) string) Config {
	e := env{getenv: getenv}
	if e.get("REDIS_URL") != "" {
		e.url()
	} else {
		if !e.topology() {
			e.address()
		}
		e.db("REDIS_DB", e.get("REDIS_DB"))
		e.config.Username = e.get("REDIS_USERNAME")
		e.config.Password = e.password()
	}
	e.tls()
	e.table()
	e.untracked()
	return e.config
}

func (e *env) table() {
	const variable = "REDIS_TRACKING_TABLE_MAX_KEYS"
	value := e.get(variable)
	if value == "" {
		return
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n <= 0 {
		e.fault(&EnvError{variable, fmt.Sprintf("is %q", value), "a number from 1, as tracking-table-max-keys of the server", "1000000"})
		return
	}
	e.config.TrackingTableKeys = n
}

func (e *env) untracked() {
	const variable = "REDIS_UNTRACKED"
	switch value := e.get(variable); value {
	case "", "ttl":
	case "validated":
		e.config.Untracked = Validated
	default:
		e.fault(&EnvError{variable, fmt.Sprintf("is %q", value), "ttl or validated", "validated"})
	}
}

// env collects the configuration and its faults.
type env struct {
	getenv func(string) string
	config Config
}

func (e *env) get(name string) string { return strings.TrimSpace(e.getenv(name)) }

func (e *env) fault(err *EnvError) { e.config.faults = append(e.config.faults, err) }

func (e *env) warn(text string) { e.config.warnings = append(e.config.warnings, text) }

func (e *env) address() {
	host, port := e.get("REDIS_HOST"), e.get("REDIS_PORT")
	if strings.ContainsAny(host, "/ ") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		e.fault(&EnvError{"REDIS_HOST", fmt.Sprintf("is %q", host), "a host name or an IP address without a port", "cache.internal"})
	}
	if port == "" {
		port = defaultPort
	}
	if !isPort(port) {
		e.fault(&EnvError{"REDIS_PORT", fmt.Sprintf("is %q", port), "a number from 1 to 65535", defaultPort})
		port = defaultPort // one fault is enough
	}
	if host == "" || len(e.config.faults) > 0 {
		host = defaultHost
	}
	e.config.Address = net.JoinHostPort(host, port)
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func (e *env) db(variable, value string) {
	if value == "" {
		return
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		e.fault(&EnvError{variable, fmt.Sprintf("has the database %q", value), "a number from 0", "0"})
		return
	}
	e.config.DB = int(n)
}

func (e *env) password() string {
	if e.getenv("REDIS_PASSWORD") != "None" {
		return e.secret("REDIS_PASSWORD")
	}
	e.warn("REDIS_PASSWORD is the word None and counts as no password")
	if e.get("REDIS_PASSWORD_FILE") == "" {
		return ""
	}
	return e.secretFile("REDIS_PASSWORD_FILE")
}

// secret reads a variable, or the file that the one with _FILE behind names.
func (e *env) secret(variable string) string {
	value, file := e.getenv(variable), variable+"_FILE"
	switch {
	case e.get(file) == "":
		return value
	case value != "":
		e.fault(&EnvError{file, "is set together with " + variable, "only one of the two", secretExample(file)})
		return ""
	}
	return e.secretFile(file)
}

func (e *env) secretFile(variable string) string {
	content, err := os.ReadFile(e.get(variable))
	if err != nil {
		e.fault(&EnvError{variable, "cannot be read: " + err.Error(), "the path of a readable file", secretExample(variable)})
	}
	return strings.TrimRight(string(content), "\r\n")
}

func secretExample(variable string) string {
	return "/run/secrets/" + strings.ToLower(strings.TrimSuffix(variable, "_FILE"))
}

// url reads REDIS_URL; what is wrong with it is told without repeating it, as
// it may hold a password.
func (e *env) url() {
	const form, example = "redis://[user:password@]host[:port][/db], rediss:// alike for TLS, unix:///path[?db=n], " +
		"redis+cluster://h1,h2 or redis+sentinel://s1,s2/master", "redis://cache.internal:6379/0"
	fault := func(problem string) { e.fault(&EnvError{"REDIS_URL", problem, form, example}) }
	single, list := hosts(e.get("REDIS_URL"))
	u, err := url.Parse(single)
	if err != nil {
		fault("is no URL")
		return
	}
	if u.User != nil {
		e.config.Username = u.User.Username()
		e.config.Password, _ = u.User.Password()
	}
	db := u.Query().Get("db")
	for name := range u.Query() {
		if name != "db" {
			fault(fmt.Sprintf("has the unknown parameter %q", name))
		}
	}
	switch u.Scheme {
	case "unix":
		e.config.Network, e.config.Address = "unix", u.Path
		if u.Host != "" || u.Path == "" {
			fault("names no absolute path (three slashes)")
		}
	case "redis+cluster", "rediss+cluster":
		e.config.Topology = Cluster
		e.config.Addresses = e.addresses("REDIS_URL", list, defaultPort)
		e.secure(u)
	case "redis+sentinel", "rediss+sentinel":
		e.config.Topology, e.config.MasterName = Sentinel, strings.Trim(u.Path, "/")
		e.config.Addresses = e.addresses("REDIS_URL", list, sentinelPort)
		e.sentinelUser()
		if e.config.MasterName == "" {
			fault("names no master behind the Sentinels")
		}
		e.secure(u)
	case "redis", "rediss", "valkey", "valkeys":
		e.urlAddress(u, fault)
		if path := strings.Trim(u.Path, "/"); path != "" {
			db = path
		}
	default:
		fault(fmt.Sprintf("has the scheme %q", u.Scheme))
	}
	e.db("REDIS_URL", db)
}

func (e *env) urlAddress(u *url.URL, fault func(string)) {
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = defaultPort
	}
	if host == "" {
		fault("names no host")
		host = defaultHost
	}
	if !isPort(port) {
		fault(fmt.Sprintf("has the port %q", port))
		port = defaultPort
	}
	e.config.Address = net.JoinHostPort(host, port)
	e.secure(u)
}

// secure turns TLS on for the schemes that ask for it.
func (e *env) secure(u *url.URL) {
	if scheme, _, _ := strings.Cut(u.Scheme, "+"); scheme == "rediss" || scheme == "valkeys" {
		e.config.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
}

// tls reads the REDIS_TLS variables.
func (e *env) tls() {
	ca, cert, key := e.get("REDIS_TLS_CA_FILE"), e.get("REDIS_TLS_CERT_FILE"), e.get("REDIS_TLS_KEY_FILE")
	name, insecure := e.get("REDIS_TLS_SERVER_NAME"), e.flag("REDIS_TLS_INSECURE", false)
	if !e.flag("REDIS_TLS", e.config.TLS != nil || ca+cert+key+name != "" || insecure) {
		if e.config.TLS != nil {
			e.fault(&EnvError{"REDIS_TLS", "is false, but REDIS_URL asks for TLS", "true or no value", "true"})
		}
		return
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name, InsecureSkipVerify: insecure}
	if insecure {
		e.warn("REDIS_TLS_INSECURE is true: anybody can pretend to be the Redis server")
	}
	if ca != "" {
		c.RootCAs = e.authorities(ca)
	}
	if cert != "" || key != "" {
		e.certificate(c, cert, key)
	}
	e.config.TLS = c
}

func (e *env) authorities(file string) *x509.CertPool {
	const form, example = "the path of a PEM file with certificates", "/etc/redis/ca.pem"
	pem, err := os.ReadFile(file)
	pool := x509.NewCertPool()
	switch {
	case err != nil:
		e.fault(&EnvError{"REDIS_TLS_CA_FILE", "cannot be read: " + err.Error(), form, example})
	case !pool.AppendCertsFromPEM(pem):
		e.fault(&EnvError{"REDIS_TLS_CA_FILE", "holds no certificate", form, example})
	}
	return pool
}

func (e *env) certificate(c *tls.Config, cert, key string) {
	const form, example = "the path of a PEM file, set together with REDIS_TLS_KEY_FILE", "/etc/redis/client.pem"
	pair, err := tls.LoadX509KeyPair(cert, key)
	if cert == "" || key == "" {
		err = errors.New("one of the two files is not named")
	}
	if err != nil {
		e.fault(&EnvError{"REDIS_TLS_CERT_FILE", "cannot be used: " + err.Error(), form, example})
		return
	}
	c.Certificates = []tls.Certificate{pair}
}

func (e *env) flag(variable string, byDefault bool) bool {
	value := e.get(variable)
	if value == "" {
		return byDefault
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		e.fault(&EnvError{variable, fmt.Sprintf("is %q", value), "true or false", "true"})
		return byDefault
	}
	return b
}
