package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func env(pairs ...string) Env {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func TestAnEmptyEnvironmentIsTheDocumentedDefault(t *testing.T) {
	c, err := Load(env())
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != "127.0.0.1:8000" || c.Database != (Database{"sqlite", "qadash-data/qadash.db"}) || c.RequiresToken() {
		t.Errorf("got %+v", c)
	}
	want := TTL{time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour, 5 * time.Minute}
	if c.Cache.TTL != want || c.Cache.MemoryBytes != 64<<20 || !c.Cache.Enabled || c.Cache.Namespace != "qadash" || c.Cache.CompressMin != 1024 || c.Cache.KeyFile != "" {
		t.Errorf("cache: got %+v", c.Cache)
	}
	if c.Redis != (Redis{Host: "localhost", Port: 6379}) || c.Redis.Explicit() || len(c.Warnings) != 0 {
		t.Errorf("redis: got %+v, warnings %q", c.Redis, c.Warnings)
	}
}

func TestEmptyMeansDefault(t *testing.T) {
	var pairs []string
	for _, v := range Variables() {
		pairs = append(pairs, v.Name, "")
	}
	if _, err := Load(env(pairs...)); err != nil {
		t.Fatal(err)
	}
}

func TestEveryExampleIsAccepted(t *testing.T) {
	for _, v := range Variables() {
		example := v.Example
		switch v.Name {
		case "ADMIN_TOKEN":
			example = strings.Repeat("a1", 24)
		}
		if _, err := Load(env(v.Name, example)); err != nil {
			t.Errorf("%s=%s: %v", v.Name, example, err)
		}
	}
}

// A bad value must not only fail: the reader of the message has to learn the
// variable, what form it wants and one value that works.
func TestABadValueNamesVariableFormAndExample(t *testing.T) {
	bad := map[string][]string{
		"ADDR":           {"8000", "localhost", "localhost:http", "localhost:70000"},
		"DATABASE_URL":   {"mysql://h/db", "sqlite:", "postgres:", "%%"},
		"AUTH_MODE":      {"none"},
		"ADMIN_TOKEN":    {"short", "has spaces in it and is long"},
		"DEFAULT_BRANCH": {strings.Repeat("b", 201)},
		"LOG_LEVEL":      {"loud"},
		"LOG_FORMAT":     {"xml"}, "PPROF_ADDR": {"0.0.0.0:6060", ":6060", "6060"}, "PUBLIC_URL": {"qa.example", "ftp://x", "https://"}, "WEBHOOK_ALLOW_PRIVATE": {"maybe"},
		"CACHE_ENABLED":       {"maybe"},
		"CACHE_NAMESPACE":     {"a b", "a:b", strings.Repeat("n", 65)},
		"CACHE_MEMORY_BYTES":  {"-1", "64MB", "lots", "99999999999999999999", "9999999GiB", "0", "64", "2000GiB"},
		"CACHE_MAX_STALENESS": {"0", "-1s", "soon", "1ms", "2h"},
		"CACHE_TTL_SHORT":     {"0s", "1 minute", "1us", "8761h"}, "CACHE_TTL_MEDIUM": {"x"}, "CACHE_TTL_LONG": {"-1h", "1d"}, "CACHE_TTL_EXTENDED": {"0"}, "CACHE_TTL_DEFAULT": {"x"},
		"CACHE_READ_TIMEOUT": {"50mss", "1ns"}, "CACHE_MAX_VALUE": {"1 Mio", "0"}, "CACHE_COMPRESS_MIN": {"0", "-1", "none", "1kB"},
		"REDIS_URL": {"http://h", "localhost:6379", "redis://h:x"}, "REDIS_SENTINEL_ADDRS": {"redis://s1", ","}, "REDIS_CLUSTER_ADDRS": {"me@n1", " , "}, "REDIS_HOST": {"a b"}, "REDIS_PORT": {"0", "65536", "redis"}, "REDIS_DB": {"-1", "a"},
		"REDIS_TRACKING_TABLE_MAX_KEYS": {"0", "many"}, "REDIS_UNTRACKED": {"never"},
	}
	for name, values := range bad {
		for _, value := range values {
			_, err := Load(env(name, value))
			faults := Faults(err)
			if len(faults) != 1 || faults[0].Variable != name || faults[0].Form == "" || !strings.Contains(err.Error(), "example: "+name+"=") {
				t.Errorf("%s=%q: got %v", name, value, err)
			}
		}
	}
	for _, v := range Variables() { // those that accept any text, or are checked where the connection is made, are named here
		elsewhere := []string{"CACHE_KEY_FILE", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_SENTINEL_MASTER", "REDIS_SENTINEL_USERNAME", "REDIS_SENTINEL_PASSWORD"}
		if bad[v.Name] == nil && !slices.Contains(elsewhere, v.Name) && !strings.HasPrefix(v.Name, "REDIS_TLS") {
			t.Errorf("%s has no bad value in this test", v.Name)
		}
	}
}

// The words of the library's options are the words of the variables.
func TestWhatTheCacheIsToldIsWhatWasSet(t *testing.T) {
	c, err := Load(env("CACHE_COMPRESS_MIN", "4KiB", "CACHE_KEY_FILE", "/keys", "CACHE_TTL_LONG", "2h", "CACHE_TTL_EXTENDED", "7200"))
	if err != nil || c.Cache.CompressMin != 4096 || c.Cache.KeyFile != "/keys" || c.Cache.TTL.Long != 2*time.Hour || c.Cache.TTL.Extended != 2*time.Hour {
		t.Errorf("got %+v, %v", c.Cache, err)
	}
	if c, err := Load(env("CACHE_COMPRESS_MIN", "off")); err != nil || c.Cache.CompressMin != -1 {
		t.Errorf("off: got %d, %v", c.Cache.CompressMin, err)
	}
	for _, pair := range [][2]string{{"REDIS_SENTINEL_ADDRS", "s1,s2:26380"}, {"REDIS_CLUSTER_ADDRS", "n1:6379, n2"},
		{"REDIS_URL", "redis+sentinel://s1:26379,s2/mymaster"}, {"REDIS_URL", "valkey://h"}} {
		if c, err := Load(env(pair[0], pair[1])); err != nil || !c.Redis.Explicit() {
			t.Errorf("%s=%s: explicit %v, %v", pair[0], pair[1], c.Redis.Explicit(), err)
		}
	}
}

// What operators read is what the program reads.
func TestTheDocumentedTableIsThatOfTheProgram(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- qadash config --table -->\n")
	got, _, found := strings.Cut(rest, "<!-- end -->")
	var want strings.Builder
	if err := Table(&want); err != nil {
		t.Fatal(err)
	}
	if !found || got != want.String() {
		t.Errorf("the table in docs/operations.md differs from that of qadash config --table:\n%s", want.String())
	}
}

func TestAllFaultsAreReportedTogether(t *testing.T) {
	_, err := Load(env("ADDR", "x", "LOG_LEVEL", "loud", "REDIS_PORT", "0"))
	if n := len(Faults(err)); n != 3 {
		t.Errorf("got %d faults: %v", n, err)
	}
}

func TestSecretsComeFromFilesAndNeverFromBoth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("0123456789abcdef0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range Variables() { // REDIS_URL has its password in REDIS_PASSWORD_FILE when it is given as REDIS_HOST
		if v.Secret && !v.File && v.Name != "REDIS_URL" {
			t.Errorf("%s cannot come from a file", v.Name)
		}
	}
	c, err := Load(env("ADMIN_TOKEN_FILE", path, "REDIS_PASSWORD_FILE", path, "REDIS_SENTINEL_PASSWORD_FILE", path))
	if err != nil || c.AdminToken != "0123456789abcdef0123" || c.Redis.Password != c.AdminToken {
		t.Errorf("got %+v, %v", c, err)
	}
	url := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(url, []byte("postgres://me:secret@h/db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(env("DATABASE_URL_FILE", url)); err != nil || c.Database.DSN != "postgres://me:secret@h/db" {
		t.Errorf("%v, %v", c.Database, err)
	}
	if _, err := Load(env("ADMIN_TOKEN_FILE", path, "ADMIN_TOKEN", "0123456789abcdef0123")); len(Faults(err)) != 1 {
		t.Errorf("both set: got %v", err)
	}
	for _, name := range []string{"REDIS_PASSWORD_FILE", "REDIS_SENTINEL_PASSWORD_FILE"} {
		_, err = Load(env(name, path+"-absent"))
		if f := Faults(err); len(f) != 1 || f[0].Variable != name {
			t.Errorf("absent file: got %v", err)
		}
	}
}

func TestRedisPasswordNoneMeansNone(t *testing.T) {
	c, err := Load(env("REDIS_PASSWORD", "None"))
	if err != nil || c.Redis.Password != "" {
		t.Errorf("got %q, %v", c.Redis.Password, err)
	}
}

func TestTokensAreRequiredOffLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:1": false, "localhost:1": false, "[::1]:1": false, "127.8.9.1:1": false,
		"0.0.0.0:1": true, ":1": true, "[::]:1": true, "10.0.0.1:1": true, "qadash.example:1": true,
	} {
		c, err := Load(env("ADDR", addr))
		if err != nil || c.RequiresToken() != want || len(c.Warnings) > 0 != want {
			t.Errorf("%s: requires token %v, warnings %q, %v", addr, c.RequiresToken(), c.Warnings, err)
		}
	}
	if c, _ := Load(env("AUTH_MODE", "token", "ADMIN_TOKEN", "0123456789abcdef")); !c.RequiresToken() || len(c.Warnings) != 0 {
		t.Error("AUTH_MODE=token on loopback: no token required")
	}
}

// What "qadash config" and errors show ends up in tickets and chats.
func TestSecretsAreNeverShown(t *testing.T) {
	e := env("REDIS_PASSWORD", "hunter22", "REDIS_SENTINEL_PASSWORD", "hunter22", "ADMIN_TOKEN", "hunter22hunter22hunter22", "REDIS_URL", "redis://me:hunter22@h:1/0?password=hunter22",
		"DATABASE_URL", "postgres://me:hunter22@h/db?sslpassword=hunter22")
	var b strings.Builder
	if err := Print(&b, e); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hunter22") || !strings.Contains(b.String(), "redis://me:masked@h:1/0") {
		t.Errorf("printed:\n%s", b.String())
	}
	_, err := Load(env("ADMIN_TOKEN", "hunter22", "REDIS_URL", "http://me:hunter22@h", "DATABASE_URL", "mysql://me:hunter22@h/db"))
	if n := len(Faults(err)); n != 3 || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("%d faults: %v", n, err)
	}
}

// A value that is of the right form and beyond what the cache takes says where the
// bound is, by the name of the variable.
func TestBoundsAreNamed(t *testing.T) {
	for pair, want := range map[[2]string]string{
		{"CACHE_MAX_STALENESS", "1ms"}:    "(the least is 20ms)",
		{"CACHE_MAX_STALENESS", "2h"}:     "(the most is 1h)",
		{"CACHE_TTL_LONG", "9000h"}:       "(the most is 8760h)",
		{"CACHE_READ_TIMEOUT", "1us"}:     "(the least is 1ms)",
		{"CACHE_MEMORY_BYTES", "64"}:      "(the least is 65536)",
		{"CACHE_MEMORY_BYTES", "2000GiB"}: "(the most is 1099511627776)",
	} {
		if _, err := Load(env(pair[0], pair[1])); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s=%s: %v, want %s", pair[0], pair[1], err, want)
		}
	}
}
