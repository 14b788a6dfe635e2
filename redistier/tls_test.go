package redistier

import (
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// TestTLS: the server's certificate is checked against the authority and the
// name, and the client shows its own.
func TestTLS(t *testing.T) {
	certificate, key, address := startTLS(t)
	host, port, _ := net.SplitHostPort(address)
	works(t, read(map[string]string{
		"REDIS_URL": "rediss://" + address, "REDIS_TLS_CA_FILE": certificate,
		"REDIS_TLS_CERT_FILE": certificate, "REDIS_TLS_KEY_FILE": key,
	}))
	works(t, read(map[string]string{
		"REDIS_HOST": host, "REDIS_PORT": port, "REDIS_TLS_CA_FILE": certificate, "REDIS_TLS_SERVER_NAME": lardertest.CertificateName,
		"REDIS_TLS_CERT_FILE": certificate, "REDIS_TLS_KEY_FILE": key,
	}))
	for name, c := range map[string]struct {
		env  map[string]string
		text string
	}{
		"other authority": {map[string]string{"REDIS_TLS": "true"}, "tls: failed to verify certificate"},
		"no client":       {map[string]string{"REDIS_TLS_CA_FILE": certificate}, "remote error: tls: certificate required"},
	} {
		t.Run(name, func(t *testing.T) {
			c.env["REDIS_URL"] = "rediss://" + address
			_, events := openTier(t, read(c.env), "shop")
			events.await(t, 0, "disconnected redistier: connect to "+address+": "+c.text)
		})
	}
}

// startTLS starts a server that speaks TLS, with a certificate that its clients
// have to show too.
func startTLS(t *testing.T) (certificate, key, address string) {
	t.Helper()
	certificate, key = lardertest.NewCertificate(t, t.TempDir())
	return certificate, key, lardertest.StartRedis(t, lardertest.RedisOptions{Certificate: certificate, Key: key}).Addr()
}

// mute is a connection that may lose the ability to write.
type mute struct {
	net.Conn
	is atomic.Bool
}

func (m *mute) Write(p []byte) (int, error) {
	if m.is.Load() {
		return 0, errors.New("cannot write")
	}
	return m.Conn.Write(p)
}

// TestNothingIsReadAfterAFailedWrite: looking for the reason takes a byte away,
// and a reply without its first byte is another one.
func TestNothingIsReadAfterAFailedWrite(t *testing.T) {
	certificate, key := lardertest.NewCertificate(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{pair}, SessionTicketsDisabled: true})
	go server.Write([]byte("+first\r\n+second\r\n"))
	socket := &mute{Conn: near}
	client := tls.Client(socket, &tls.Config{InsecureSkipVerify: true}) // the test is not about that
	if err := client.HandshakeContext(testContext(t)); err != nil {
		t.Fatal(err)
	}
	s := &secured{Conn: client, raw: socket}
	if n, err := s.Read(make([]byte, 8)); n != 8 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	socket.is.Store(true)
	if _, err := s.Write([]byte("PING\r\n")); err == nil || !strings.Contains(err.Error(), "cannot write") {
		t.Errorf("writing: %v", err)
	}
	if n, err := s.Read(make([]byte, 9)); n > 0 || err == nil {
		t.Errorf("read %d bytes more, %v", n, err)
	}
}

// tlsSite is a topology that speaks TLS and nothing else and asks for a password
// everywhere.
type tlsSite struct {
	env   map[string]string            // how to reach it
	wrong map[string]map[string]string // other passwords, by the variable that holds them
	moves func()                       // gives the key another master
}

func (s *tlsSite) with(changes map[string]string) Config {
	vars := maps.Clone(s.env)
	maps.Copy(vars, changes)
	return read(vars)
}

const tlsPassword = "pass word"

func tlsSentinel(t *testing.T, o lardertest.RedisOptions) *tlsSite {
	set := lardertest.StartSentinel(t, o)
	return &tlsSite{
		moves: func() {
			for _, srv := range set.Servers { // or writes wait until the old master is a replica
				command(t, srv, "CONFIG", "SET", "min-replicas-to-write", "0")
			}
			set.Failover(t)
		},
		env: map[string]string{
			"REDIS_SENTINEL_ADDRS": strings.Join(set.Addrs(), ","), "REDIS_SENTINEL_MASTER": lardertest.SentinelMaster,
			"REDIS_SENTINEL_PASSWORD": tlsPassword, "REDIS_PASSWORD": tlsPassword,
		},
		wrong: map[string]map[string]string{
			"REDIS_SENTINEL_PASSWORD": {"REDIS_SENTINEL_PASSWORD": "other"}, "REDIS_PASSWORD": {"REDIS_PASSWORD": "other"},
		},
	}
}

func tlsCluster(t *testing.T, o lardertest.RedisOptions) *tlsSite {
	cluster := lardertest.StartCluster(t, o)
	moves := func() {
		slot := slotOf(newClusterKeys("shop").entry + "suite:a")
		owner := cluster.Owner(slot)
		cluster.MoveSlot(t, slot, cluster.Servers[(slices.Index(cluster.Servers, owner)+1)%3])
	}
	url := func(password string) string {
		return "rediss+cluster://:" + password + "@" + strings.Join(cluster.Addrs(), ",")
	}
	return &tlsSite{
		moves: moves, env: map[string]string{"REDIS_URL": url("pass%20word")},
		wrong: map[string]map[string]string{"REDIS_PASSWORD": {"REDIS_URL": url("other")}},
	}
}

// TestTLSTopologies: behind Sentinels and in a Cluster every connection is
// encrypted and checked, those to the Sentinels and for the layout too, and
// the way to another master is.
func TestTLSTopologies(t *testing.T) {
	for name, start := range map[string]func(*testing.T, lardertest.RedisOptions) *tlsSite{"sentinel": tlsSentinel, "cluster": tlsCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificate, key := lardertest.NewCertificate(t, t.TempDir())
			site := start(t, lardertest.RedisOptions{
				Password: tlsPassword, Certificate: certificate, Key: key, AllRights: true, Args: append(slices.Clone(sound), "--min-replicas-to-write", "1"),
			})
			maps.Copy(site.env, map[string]string{"REDIS_TLS_CA_FILE": certificate, "REDIS_TLS_CERT_FILE": certificate, "REDIS_TLS_KEY_FILE": key})
			works(t, site.with(map[string]string{"REDIS_TLS_SERVER_NAME": lardertest.CertificateName}))
			t.Run("refused", func(t *testing.T) { refusedByTLS(t, site) })
			if bad, err := problems(t, site.with(nil), "shop"); len(bad) > 0 || err != nil {
				t.Errorf("doctor found %+v, %v", bad, err)
			}
			coherentByTLS(t, site)
		})
	}
}

// coherentByTLS: what one process changes is pushed to the other and gone from
// its memory, also when the entry has another master.
func coherentByTLS(t *testing.T, site *tlsSite) {
	cfg := site.with(nil)
	cfg.DialTimeout = dialsSlowly
	tier, events := openTier(t, cfg, "shop")
	reader, suites := program(t, cfg)
	writer, _ := program(t, cfg)
	key := tier.EntryKey("suite:a")
	for _, move := range []func(){func() {}, site.moves} {
		move()
		eventually(t, "entry in memory and tracked", func() bool {
			_, err := suites.Get(testContext(t), "a", echo)
			x, _ := reader.Explain(testContext(t), "suite:a")
			return err == nil && len(x.Memory) == 1 && x.Memory[0].Usable && tier.Get(testContext(t), key).State == larder.Present
		})
		mark := events.mark()
		eventually(t, "invalidation at the present master", func() bool {
			return writer.Invalidate(testContext(t), suites.Key("a"), larder.Strict) == nil
		})
		if v, err := suites.Lookup(testContext(t), "a"); err == nil {
			t.Errorf("memory has %q after a strict invalidation", v)
		}
		events.await(t, mark, "invalidated "+key)
	}
}

// refusedByTLS: who does not trust the servers, whom they do not trust, and who
// has no password is told so.
func refusedByTLS(t *testing.T, site *tlsSite) {
	other, otherKey := lardertest.NewCertificate(t, t.TempDir())
	for name, c := range map[string]struct {
		env  map[string]string
		text string
	}{
		"other authority": {map[string]string{"REDIS_TLS_CA_FILE": other}, "tls: failed to verify certificate"},
		"other client":    {map[string]string{"REDIS_TLS_CERT_FILE": other, "REDIS_TLS_KEY_FILE": otherKey}, "tls: unknown certificate authority"},
		"no client":       {map[string]string{"REDIS_TLS_CERT_FILE": "", "REDIS_TLS_KEY_FILE": ""}, "tls: certificate required"},
		"other name":      {map[string]string{"REDIS_TLS_SERVER_NAME": "other.test"}, "not other.test"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := site.with(c.env)
			_, events := openTier(t, cfg, "shop")
			mark := events.await(t, 0, "disconnected ")
			if first := events.events(mark - 1)[0]; !strings.Contains(first, c.text) || strings.Contains(first, "reset by peer") {
				t.Errorf("want %q, told was %s", c.text, first)
			}
			bad, err := problems(t, cfg, "shop")
			if err == nil || Denied(err) || len(bad) != 1 || !strings.Contains(bad[0].Text, c.text) || !strings.Contains(bad[0].Advice, "REDIS_TLS") {
				t.Errorf("found %+v, %v", bad, err)
			}
		})
	}
	for variable, env := range site.wrong {
		t.Run("wrong "+variable, func(t *testing.T) {
			bad, err := problems(t, site.with(env), "shop")
			if !Denied(err) || len(bad) != 1 || !strings.Contains(bad[0].Text, "WRONGPASS") || !strings.Contains(bad[0].Advice, variable) {
				t.Errorf("found %+v, %v", bad, err)
			}
		})
	}
}
