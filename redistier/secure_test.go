package redistier

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/lardertest"
)

// works proves that a tier can do its work.
func works(t *testing.T, cfg Config) *Tier {
	t.Helper()
	tier, events := openTier(t, cfg, "shop")
	events.await(t, 0, "connected")
	reachable(t, tier)
	key := tier.EntryKey("k")
	ranks := make([]frame.Rank, 2*frame.RankLimit+1) // enough to be trimmed
	for i := range ranks {
		ranks[i] = frame.Rank{Name: fmt.Sprint(i), Count: uint64(i)}
	}
	ops := []larder.Op{
		{Kind: larder.OpAcquire, Key: key, Token: mine, TTL: time.Minute},
		{Kind: larder.OpFill, Key: key, Token: mine, Value: []byte(aValue), TTL: time.Minute},
		{Kind: larder.OpGet, Key: key}, {Kind: larder.OpGet, Key: key},
		{Kind: larder.OpInspect, Key: key},
		{Kind: larder.OpAcquire, Key: tier.RefreshKey(key), Token: mine, TTL: time.Minute},
		{Kind: larder.OpRelease, Key: tier.RefreshKey(key), Token: mine},
		{Kind: larder.OpTakeover, Key: key, Expect: aValue, Token: mine, TTL: time.Minute},
		{Kind: larder.OpRenew, Key: key, Token: mine, TTL: time.Minute},
		{Kind: larder.OpRelease, Key: key, Token: mine},
		{Kind: larder.OpSet, Key: key, Value: []byte(aValue), TTL: time.Minute},
		{Kind: larder.OpRefill, Key: key, Expect: aValue, Value: []byte("v"), TTL: time.Minute},
		{Kind: larder.OpAcquire, Key: tier.EntryKey("lease"), Token: mine, TTL: time.Minute},
		{Kind: larder.OpExpire, Key: tier.EntryKey("lease"), Token: mine},
		{Kind: larder.OpDelete, Key: key},
		{Kind: larder.OpGeneration, Key: tier.TagKey("t"), Value: []byte("12345678"), TTL: time.Minute},
		{Kind: larder.OpLock, Key: tier.TagKey("=#lock:l"), Token: mine, TTL: time.Minute},
		{Kind: larder.OpRank, Key: tier.TagKey("=#hot:1"), Value: frame.AppendRanks(nil, ranks), TTL: time.Minute},
		{Kind: larder.OpRanks, Key: tier.TagKey("=#hot:1")},
	}
	replies := make([]larder.Reply, len(ops))
	tier.Do(testContext(t), ops, replies)
	for i, r := range replies {
		if r.Err != nil || r.State == larder.Refused || r.State == larder.Absent {
			t.Errorf("op %d: %+v", i, r)
		}
	}
	if err := tier.Beat(testContext(t)); err != nil {
		t.Error(err)
	}
	if _, err := tier.DeleteMatching(testContext(t), "*", func([]string) {}); err != nil {
		t.Error(err)
	}
	return tier
}

func TestUnixSocket(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Unix: true})
	works(t, read(map[string]string{"REDIS_URL": "unix://" + srv.Socket()}))
}

func TestPassword(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Password: "pass word"})
	works(t, Config{Address: srv.Addr(), Password: "pass word"})
}

// TestOtherDatabase: keys live in the database that was asked for, and a flush
// of another one costs an epoch but no correctness.
func TestOtherDatabase(t *testing.T) {
	srv := lardertest.StartRedis(t)
	tier := works(t, Config{Address: srv.Addr(), DB: 3})
	one(t, tier, larder.Op{Kind: larder.OpSet, Key: "k", Value: []byte("v"), TTL: time.Minute})
	if got := command(t, srv, "EXISTS", "k"); got != "0" {
		t.Error("the key is in database 0")
	}
}

// TestLeastPrivilege: the rights of the package documentation suffice, and
// without the right to load scripts they are sent as text.
func TestLeastPrivilege(t *testing.T) {
	for _, load := range []string{"+script|load", "-script|load"} {
		t.Run(load, func(t *testing.T) {
			srv := lardertest.StartRedis(t)
			command(t, srv, append(documentedRights(t), load)...)
			works(t, Config{Address: srv.Addr(), Username: "app", Password: "password"})
			if denied := command(t, srv, "ACL", "LOG"); denied != "" && load[0] == '+' {
				t.Errorf("refused: %s", denied)
			}
		})
	}
}

// documentedRights returns the ACL command of the package documentation.
func documentedRights(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(source), "//	ACL SETUSER")
	rights, _, ended := strings.Cut(rest, "//\n")
	if !found || !ended {
		t.Fatal("the documentation has no ACL command")
	}
	return append([]string{"ACL", "SETUSER"}, strings.Fields(strings.ReplaceAll(rights, "//", ""))...)
}

// TestTestServersGrantTheDocumentedRights: the servers of all tests let their
// clients do what is documented and nothing else, whatever topology and fault a
// test is about.
func TestTestServersGrantTheDocumentedRights(t *testing.T) {
	var documented []string
	for _, rule := range documentedRights(t) {
		if rule[0] == '+' || rule[0] == '-' {
			documented = append(documented, rule)
		}
	}
	if granted := lardertest.ClientRights(); !slices.Equal(granted, documented) {
		t.Errorf("test servers grant\n%q, documented are\n%q", granted, documented)
	}
	srv := lardertest.StartRedis(t)
	_, events := openTier(t, Config{Address: srv.Addr()}, "shop")
	events.await(t, 0, "connected")
	if user := command(t, srv, "ACL", "GETUSER", "default"); strings.Contains(user, "+@all") || strings.Contains(user, "+flushall") {
		t.Errorf("the default user may do more:\n%s", user)
	}
}

// directives returns a configuration file as arguments.
func directives(t *testing.T, path string) (args []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		args = append(args, "--"+words[0])
		for _, w := range words[1:] {
			args = append(args, strings.Trim(w, `"`))
		}
	}
	return args
}

// TestACLFileGrantsTheDocumentedRights: it names the commands of the package
// documentation, which are those that clients of all test servers have.
func TestACLFileGrantsTheDocumentedRights(t *testing.T) {
	file, err := os.ReadFile("../deploy/redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	commands := func(words []string) (rules []string) {
		for _, w := range words {
			if w[0] == '+' || w[0] == '-' {
				rules = append(rules, w)
			}
		}
		return rules
	}
	_, user, _ := strings.Cut(string(file), "user qadash ")
	if got, want := commands(strings.Fields(user)), commands(documentedRights(t)); !slices.Equal(got, want) {
		t.Errorf("the file grants\n%q, documented are\n%q", got, want)
	}
}

// TestACLFileOfDeployment: with the files that are shipped for production the
// server starts, the default user is off and that of qadash can do its work.
func TestACLFileOfDeployment(t *testing.T) {
	shipped, err := os.ReadFile("../deploy/redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users.acl")
	text := lardertest.OperatorUser + strings.ReplaceAll(string(shipped), "REPLACE-THIS-PASSWORD", "secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{ACLFile: file, Args: directives(t, "../deploy/redis/redis.conf")})
	tier, events := openTier(t, Config{Address: srv.Addr(), Username: "qadash", Password: "secret"}, "qadash")
	events.await(t, 0, "connected")
	if r := one(t, tier, larder.Op{Kind: larder.OpSet, Key: tier.EntryKey("k"), Value: []byte(aValue), TTL: time.Minute}); r.Err != nil {
		t.Error(r.Err)
	}
	if r := one(t, tier, larder.Op{Kind: larder.OpGet, Key: "other:k"}); r.Err == nil {
		t.Error("the user reads keys of others")
	}
	_, events = openTier(t, Config{Address: srv.Addr()}, "qadash")
	events.await(t, 0, "disconnected redistier: connect to "+srv.Addr()+": NOAUTH")
}
