package redistier

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func read(vars map[string]string) Config {
	return fromEnv(func(name string) string { return vars[name] })
}

func TestFromEnv(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		vars                               map[string]string
		network, address, user, pass, word string
		db, warnings                       int
		tls                                bool
	}{
		"nothing":       {vars: nil, address: "localhost:6379"},
		"empty":         {vars: map[string]string{"REDIS_HOST": "", "REDIS_PORT": " ", "REDIS_DB": ""}, address: "localhost:6379"},
		"host and port": {vars: map[string]string{"REDIS_HOST": "cache", "REDIS_PORT": "7000", "REDIS_DB": "3"}, address: "cache:7000", db: 3},
		"IPv6":          {vars: map[string]string{"REDIS_HOST": "::1"}, address: "[::1]:6379"},
		"user":          {vars: map[string]string{"REDIS_USERNAME": "app", "REDIS_PASSWORD": " pw "}, address: "localhost:6379", user: "app", pass: " pw "},
		"None":          {vars: map[string]string{"REDIS_PASSWORD": "None"}, address: "localhost:6379", warnings: 1},
		"file":          {vars: map[string]string{"REDIS_PASSWORD_FILE": secret}, address: "localhost:6379", pass: "s3cret word"},
		"URL wins":      {vars: map[string]string{"REDIS_URL": "redis://u:p%40@h:1/2", "REDIS_HOST": "x", "REDIS_PORT": "no", "REDIS_PASSWORD": "y"}, address: "h:1", user: "u", pass: "p@", db: 2},
		"URL host only": {vars: map[string]string{"REDIS_URL": "redis://h"}, address: "h:6379"},
		"URL db":        {vars: map[string]string{"REDIS_URL": "redis://h?db=4"}, address: "h:6379", db: 4},
		"URL TLS":       {vars: map[string]string{"REDIS_URL": "rediss://h"}, address: "h:6379", tls: true},
		"unix":          {vars: map[string]string{"REDIS_URL": "unix:///run/r.sock?db=1"}, network: "unix", address: "/run/r.sock", db: 1},
		"TLS":           {vars: map[string]string{"REDIS_TLS": "true"}, address: "localhost:6379", tls: true},
		"TLS by name":   {vars: map[string]string{"REDIS_TLS_SERVER_NAME": "r"}, address: "localhost:6379", tls: true},
		"TLS off":       {vars: map[string]string{"REDIS_TLS": "false", "REDIS_TLS_SERVER_NAME": "r"}, address: "localhost:6379"},
		"TLS insecure":  {vars: map[string]string{"REDIS_TLS_INSECURE": "1"}, address: "localhost:6379", tls: true, warnings: 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(c.vars)
			if err := got.Validate(); err != nil {
				t.Fatal(err)
			}
			if got.Network != c.network || got.Address != c.address || got.Username != c.user || got.Password != c.pass ||
				got.DB != c.db || (got.TLS != nil) != c.tls || len(got.Warnings()) != c.warnings {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestFaultsOfTheEnvironment: each names its variable, the form and an example,
// all are reported together, and none tells a secret.
func TestFaultsOfTheEnvironment(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for variable, vars := range map[string]map[string]string{
		"REDIS_HOST":                     {"REDIS_HOST": "cache:6379"},
		"REDIS_PORT":                     {"REDIS_PORT": "70000"},
		"REDIS_DB":                       {"REDIS_DB": "-1"},
		"REDIS_PASSWORD_FILE":            {"REDIS_PASSWORD_FILE": "/nonexistent"},
		"REDIS_PASSWORD_FILE ":           {"REDIS_PASSWORD_FILE": empty, "REDIS_PASSWORD": "hunter2"},
		"REDIS_PASSWORD_FILE  ":          {"REDIS_PASSWORD_FILE": "/nonexistent", "REDIS_PASSWORD": "None"},
		"REDIS_SENTINEL_PASSWORD_FILE":   {"REDIS_SENTINEL_PASSWORD_FILE": "/nonexistent", "REDIS_SENTINEL_ADDRS": "s", "REDIS_SENTINEL_MASTER": "m"},
		"REDIS_SENTINEL_PASSWORD_FILE ":  {"REDIS_SENTINEL_PASSWORD_FILE": empty, "REDIS_SENTINEL_PASSWORD": "hunter2", "REDIS_URL": "redis+sentinel://s/m"},
		"REDIS_URL":                      {"REDIS_URL": "http://h"},
		"REDIS_URL ":                     {"REDIS_URL": "redis://:hunter2@h:port"},
		"REDIS_URL  ":                    {"REDIS_URL": "redis://:hunter2@/0"},
		"REDIS_URL   ":                   {"REDIS_URL": "redis://h/one"},
		"REDIS_URL    ":                  {"REDIS_URL": "redis://h?pool=3"},
		"REDIS_URL     ":                 {"REDIS_URL": "unix://relative"},
		"REDIS_URL      ":                {"REDIS_URL": "redis://h:0"},
		"REDIS_TLS":                      {"REDIS_TLS": "maybe"},
		"REDIS_TLS ":                     {"REDIS_TLS": "no", "REDIS_URL": "rediss://h"},
		"REDIS_TRACKING_TABLE_MAX_KEYS":  {"REDIS_TRACKING_TABLE_MAX_KEYS": "0"},
		"REDIS_TRACKING_TABLE_MAX_KEYS ": {"REDIS_TRACKING_TABLE_MAX_KEYS": "many"},
		"REDIS_UNTRACKED":                {"REDIS_UNTRACKED": "never"},
		"REDIS_TLS_CA_FILE":              {"REDIS_TLS_CA_FILE": "/nonexistent"},
		"REDIS_TLS_CA_FILE ":             {"REDIS_TLS_CA_FILE": empty},
		"REDIS_TLS_CERT_FILE":            {"REDIS_TLS_CERT_FILE": empty},
		"REDIS_TLS_CERT_FILE ":           {"REDIS_TLS_KEY_FILE": empty},
		"REDIS_CLUSTER_ADDRS":            {"REDIS_CLUSTER_ADDRS": "a:1,b:2", "REDIS_SENTINEL_ADDRS": "c:3", "REDIS_SENTINEL_MASTER": "m"},
		"REDIS_CLUSTER_ADDRS ":           {"REDIS_CLUSTER_ADDRS": "a:1,b:x"},
		"REDIS_CLUSTER_ADDRS  ":          {"REDIS_CLUSTER_ADDRS": ","},
		"REDIS_DB  ":                     {"REDIS_CLUSTER_ADDRS": "a:1", "REDIS_DB": "1"},
		"REDIS_SENTINEL_MASTER":          {"REDIS_SENTINEL_ADDRS": "s"},
		"REDIS_SENTINEL_ADDRS":           {"REDIS_SENTINEL_MASTER": "m"},
		"REDIS_URL       ":               {"REDIS_URL": "redis+sentinel://:hunter2@s1,s2"},
		"REDIS_URL        ":              {"REDIS_URL": "redis+cluster://:hunter2@s1,s2:x"},
	} {
		config := read(vars)
		err := config.Validate()
		var fault *EnvError
		if !errors.As(err, &fault) {
			t.Errorf("%v: %v", vars, err)
			continue
		}
		if fault.Variable != strings.TrimSpace(variable) || !strings.HasPrefix(err.Error(), fault.Variable) ||
			!strings.Contains(err.Error(), "want "+fault.Form) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: %v", vars, err)
		}
	}
	config := read(map[string]string{"REDIS_PORT": "x", "REDIS_DB": "y", "REDIS_TLS": "z"})
	if _, err := New(config, "shop"); err == nil || strings.Count(err.Error(), "REDIS_") != 6 {
		t.Errorf("not all faults: %v", err)
	}
}

// TestTopologyFromEnv holds the forms that name several servers. The user of the
// Sentinels is another than that of the master.
func TestTopologyFromEnv(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		vars                     map[string]string
		topology                 Topology
		want                     []string
		master, password, oracle string
	}{
		"cluster":     {map[string]string{"REDIS_CLUSTER_ADDRS": "a:1, b,[::1]:7", "REDIS_PASSWORD": "p"}, Cluster, []string{"a:1", "b:6379", "[::1]:7"}, "", "p", ""},
		"cluster URL": {map[string]string{"REDIS_URL": "redis+cluster://u:p@a:1,b:2"}, Cluster, []string{"a:1", "b:2"}, "", "p", ""},
		"sentinel": {map[string]string{"REDIS_SENTINEL_ADDRS": "a,b:2", "REDIS_SENTINEL_MASTER": "m", "REDIS_SENTINEL_USERNAME": "o", "REDIS_SENTINEL_PASSWORD": "s"},
			Sentinel, []string{"a:26379", "b:2"}, "m", "", "o:s"},
		"sentinel URL": {map[string]string{"REDIS_URL": "rediss+sentinel://:p@a,b:2/m?db=2", "REDIS_SENTINEL_USERNAME": "o", "REDIS_SENTINEL_PASSWORD_FILE": secret},
			Sentinel, []string{"a:26379", "b:2"}, "m", "p", "o:s"},
	} {
		got := read(c.vars)
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got.Topology != c.topology || !slices.Equal(got.Addresses, c.want) || got.MasterName != c.master || got.Password != c.password ||
			strings.Trim(got.SentinelUsername+":"+got.SentinelPassword, ":") != c.oracle {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTrackingTableFromEnv(t *testing.T) {
	if got := read(map[string]string{"REDIS_TRACKING_TABLE_MAX_KEYS": "5000"}); got.TrackingTableKeys != 5000 || got.Validate() != nil {
		t.Errorf("%+v, %v", got, got.Validate())
	}
}

func TestUntrackedFromEnv(t *testing.T) {
	for value, want := range map[string]Untracked{"": TTL, "ttl": TTL, " validated ": Validated} {
		if got := read(map[string]string{"REDIS_UNTRACKED": value}); got.Untracked != want || got.Validate() != nil {
			t.Errorf("%q: %+v, %v", value, got, got.Validate())
		}
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]Config{
		"no Sentinel":   {Topology: Sentinel, MasterName: "m"},
		"no master":     {Topology: Sentinel, Addresses: []string{"a:1"}},
		"cluster DB":    {Topology: Cluster, Addresses: []string{"a:1"}, DB: 1},
		"cluster port":  {Topology: Cluster, Addresses: []string{"a"}},
		"both":          {Topology: Cluster, Addresses: []string{"a:1"}, Address: "a:1"},
		"addresses":     {Addresses: []string{"a:1"}},
		"topology":      {Topology: 9},
		"untracked":     {Untracked: 9},
		"failover":      {OnFailover: 9},
		"no port":       {Address: "host"},
		"wrong port":    {Address: "host:0"},
		"named port":    {Address: "host:redis"},
		"network":       {Network: "udp"},
		"no socket":     {Network: "unix"},
		"TLS on unix":   {Network: "unix", Address: "/s", TLS: &tls.Config{}},
		"negative DB":   {DB: -1},
		"negative time": {DialTimeout: -1},
	} {
		if _, err := New(c, "shop"); err == nil || !strings.HasPrefix(err.Error(), "redistier: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, namespace := range []string{"#x", "a#b", "a\nb", "a\xff", "{a}"} {
		if _, err := New(Config{}, namespace); err == nil {
			t.Errorf("namespace %q accepted", namespace)
		}
	}
	if _, err := New(Config{}, "team:shop"); err != nil {
		t.Error(err)
	}
}
