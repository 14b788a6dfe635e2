package lardertest

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"
)

// OpenBackDoor returns the back door to a real server for the conformance
// suite. Whatever fails there fails the test.
func OpenBackDoor(tb testing.TB, s *RedisServer) BackDoor { return redisDoor{tb, s} }

type redisDoor struct {
	tb testing.TB
	s  *RedisServer
}

var (
	_ BackDoor = redisDoor{}
	_ BackDoor = (*Server)(nil)
)

func (d redisDoor) command(args ...string) string {
	d.tb.Helper()
	reply, err := d.s.Command(args...)
	d.check(err)
	return reply
}

func (d redisDoor) check(err error) {
	d.tb.Helper()
	if err != nil {
		d.tb.Fatal(err)
	}
}

// Set implements BackDoor.
func (d redisDoor) Set(key, data string, ttl time.Duration) {
	d.tb.Helper()
	args := []string{"SET", key, data}
	if ttl > 0 {
		args = append(args, "PX", strconv.FormatInt(ttl.Milliseconds(), 10))
	}
	d.command(args...)
}

// SetList implements BackDoor.
func (d redisDoor) SetList(key string) {
	d.tb.Helper()
	d.command("DEL", key)
	d.command("RPUSH", key, "element")
}

// Delete implements BackDoor.
func (d redisDoor) Delete(key string) bool { d.tb.Helper(); return d.command("DEL", key) == "1" }

// FlushAll implements BackDoor.
func (d redisDoor) FlushAll() { d.tb.Helper(); d.command("FLUSHALL") }

// Drop implements BackDoor.
func (d redisDoor) Drop() { d.tb.Helper(); d.command("CLIENT", "KILL", "TYPE", "normal") }

// Stop implements BackDoor.
func (d redisDoor) Stop() { d.tb.Helper(); d.check(d.s.Stop()) }

// Cont implements BackDoor.
func (d redisDoor) Cont() { d.tb.Helper(); d.check(d.s.Cont()) }

// Kill implements BackDoor.
func (d redisDoor) Kill() { d.tb.Helper(); d.check(d.s.Kill()) }

// Restart implements BackDoor.
func (d redisDoor) Restart() { d.tb.Helper(); d.check(d.s.Restart(context.Background())) }

// OpenClusterDoor returns the back door to a real cluster for the conformance
// suite.
func OpenClusterDoor(tb testing.TB, c *Cluster) BackDoor { return clusterDoor{tb, c} }

type clusterDoor struct {
	tb testing.TB
	c  *Cluster
}

// at returns the door to the master of key.
func (d clusterDoor) at(key string) redisDoor {
	d.tb.Helper()
	for _, s := range d.c.Servers {
		_, err := s.Command("GET", key)
		if err == nil || strings.HasPrefix(err.Error(), "WRONGTYPE") {
			return redisDoor{d.tb, s}
		}
	}
	d.tb.Fatalf("nobody serves %q", key)
	return redisDoor{}
}

func (d clusterDoor) each(f func(redisDoor)) {
	d.tb.Helper()
	for _, s := range d.c.Servers {
		f(redisDoor{d.tb, s})
	}
}

// Set implements BackDoor.
func (d clusterDoor) Set(key, data string, ttl time.Duration) {
	d.tb.Helper()
	d.at(key).Set(key, data, ttl)
}

// SetList implements BackDoor.
func (d clusterDoor) SetList(key string) { d.tb.Helper(); d.at(key).SetList(key) }

// Delete implements BackDoor.
func (d clusterDoor) Delete(key string) bool { d.tb.Helper(); return d.at(key).Delete(key) }

// FlushAll implements BackDoor.
func (d clusterDoor) FlushAll() {
	d.tb.Helper()
	d.each(func(s redisDoor) {
		if _, err := s.s.Command("FLUSHALL"); err != nil && !strings.HasPrefix(err.Error(), "READONLY") {
			d.tb.Fatal(err)
		}
	})
}

// Drop implements BackDoor.
func (d clusterDoor) Drop() { d.tb.Helper(); d.each(redisDoor.Drop) }

// Stop implements BackDoor.
func (d clusterDoor) Stop() { d.tb.Helper(); d.each(redisDoor.Stop) }

// Cont implements BackDoor.
func (d clusterDoor) Cont() { d.tb.Helper(); d.each(redisDoor.Cont) }

// Kill implements BackDoor.
func (d clusterDoor) Kill() { d.tb.Helper(); d.each(redisDoor.Kill) }

// Restart implements BackDoor.
func (d clusterDoor) Restart() {
	d.tb.Helper()
	d.each(redisDoor.Restart)
	d.c.AwaitHealth(d.tb)
}
