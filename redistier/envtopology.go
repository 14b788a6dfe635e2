package redistier

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

const (
	sentinelPort = "26379"
	listForm     = "host:port addresses separated by commas"
)

// topology reads the variables of Sentinels and clusters; false if there are
// none, and so a standalone server is meant.
func (e *env) topology() bool {
	sentinels, cluster := e.get("REDIS_SENTINEL_ADDRS"), e.get("REDIS_CLUSTER_ADDRS")
	master := e.get("REDIS_SENTINEL_MASTER")
	switch {
	case sentinels != "" && cluster != "":
		e.fault(&EnvError{"REDIS_CLUSTER_ADDRS", "is set together with REDIS_SENTINEL_ADDRS", "only one of the two", "n1:6379,n2:6379"})
	case sentinels != "":
		e.config.Topology, e.config.MasterName = Sentinel, master
		e.config.Addresses = e.addresses("REDIS_SENTINEL_ADDRS", sentinels, sentinelPort)
		e.sentinelUser()
		if master == "" {
			e.fault(&EnvError{"REDIS_SENTINEL_MASTER", "is not set", "the name under which the Sentinels watch the master", "mymaster"})
		}
	case cluster != "":
		e.config.Topology = Cluster
		e.config.Addresses = e.addresses("REDIS_CLUSTER_ADDRS", cluster, defaultPort)
		if db := e.get("REDIS_DB"); db != "" && db != "0" {
			e.fault(&EnvError{"REDIS_DB", "is " + strconv.Quote(db) + " beside REDIS_CLUSTER_ADDRS", "0 or nothing, as a cluster has no other database", "0"})
		}
	case master != "":
		e.fault(&EnvError{"REDIS_SENTINEL_ADDRS", "is not set, but REDIS_SENTINEL_MASTER is", listForm, "s1:26379,s2:26379"})
	default:
		return false
	}
	return true
}

// sentinelUser reads what no URL has: its user and password are those of the master.
func (e *env) sentinelUser() {
	e.config.SentinelUsername, e.config.SentinelPassword = e.get("REDIS_SENTINEL_USERNAME"), e.secret("REDIS_SENTINEL_PASSWORD")
}

// addresses splits a list, adding the port where there is none.
func (e *env) addresses(variable, list, port string) []string {
	var addresses []string
	for part := range strings.SplitSeq(list, ",") {
		address := strings.TrimSpace(part)
		if address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(strings.Trim(address, "[]"), port)
		}
		if err := checkAddress(address); err != nil {
			e.fault(&EnvError{variable, fmt.Sprintf("names %q: %v", part, err), listForm, "h1:" + port + ",h2:" + port})
			continue
		}
		addresses = append(addresses, address)
	}
	if len(addresses) == 0 {
		e.fault(&EnvError{variable, "names no address", listForm, "h1:" + port + ",h2:" + port})
	}
	return addresses
}

// hosts takes the list of hosts out of a URL and leaves the first one in it:
// package url knows no lists.
func hosts(raw string) (single, list string) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw, ""
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	user := ""
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		user, authority = authority[:i+1], authority[i+1:]
	}
	first, _, _ := strings.Cut(authority, ",")
	return scheme + "://" + user + first + tail, authority
}
