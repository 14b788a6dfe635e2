package redistier

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// checkPushes makes a connection as the tier would and waits for a push on it.
func checkPushes(ctx context.Context, e *exam) []Finding {
	const instead = "memory then keeps entries for a quarter of MaxStaleness, and strict invalidations wait for it"
	if e.Role != "master" {
		return found(LevelSkipped, "the test writes, and replicas refuse that", "")
	}
	c, err := openAs(ctx, e.conn.server, e.Address, true)
	switch {
	case err == nil:
		c.close(errClosed)
		return found(LevelOK, "RESP3, and changes of what was read are pushed", "")
	case Denied(err), strings.Contains(err.Error(), "NOPERM"): // the client hides the second in another error
		return found(LevelFailed, "the user lacks a right that pushes need: "+instead, "grant +hello +client|id +client|setname +client|tracking, see the check of rights")
	case begins(answered(err), "OOM", "MISCONF", "NOREPLICAS", "CLUSTERDOWN"):
		return found(LevelSkipped, "the test writes, and the server refuses that: see memory, persistence, replicas and cluster", "")
	case errors.Is(err, rueidis.ErrNoCache), strings.Contains(err.Error(), "unknown command"):
		return found(LevelFailed, "the server or a proxy before it does not speak RESP3 (HELLO 3): "+instead,
			"use Redis 6 or newer without a proxy, and do not rename HELLO")
	case errors.Is(err, errNoPushes):
		return found(LevelFailed, "a key that was read was changed and nobody told: "+instead, "connect to Redis without the proxy between")
	}
	return found(LevelFailed, "the self-test of pushes ended early: %v", "try again; if it stays, look at the log of the server", err)
}

func checkTable(_ context.Context, e *exam) []Finding {
	limit, told := e.setting("tracking-table-max-keys")
	if own := e.conn.cfg.TrackingTableKeys; !told && own > 0 {
		limit, told = own, true
	}
	switch {
	case !told:
		return found(LevelSkipped, "the user may not read tracking-table-max-keys; %d keys are tracked, the default limit is %d; if the server has another, tell it by REDIS_TRACKING_TABLE_MAX_KEYS", "", e.TrackedKeys, defaultTable)
	case limit == 0:
		return found(LevelOK, "no limit, %d keys are tracked", "", e.TrackedKeys)
	case limit < leastTable:
		return found(LevelFailed, "tracking-table-max-keys is %d: memory forgets everything with each heartbeat, as the server may have forgotten keys",
			"CONFIG SET tracking-table-max-keys 1000000", limit)
	case e.TrackedKeys >= limit/10*9:
		return found(LevelFailed, "%d of at most %d keys are tracked: memory forgets everything with each heartbeat", "raise tracking-table-max-keys; an entry takes about 52 bytes", e.TrackedKeys, limit)
	case e.TrackedKeys >= limit/2, limit < e.Keys:
		return found(LevelWarning, "tracking-table-max-keys is %d, with %d keys tracked and %d stored: when the table is full, memory loses its use", "raise tracking-table-max-keys above the number of keys", limit, e.TrackedKeys, e.Keys)
	}
	return found(LevelOK, "%d of at most %d keys are tracked", "", e.TrackedKeys, limit)
}

func checkMemory(_ context.Context, e *exam) []Finding {
	const set = "set maxmemory, with maxmemory-policy allkeys-lfu"
	used, most := e.UsedBytes, e.MaxBytes
	switch {
	case most == 0:
		return found(LevelWarning, "maxmemory is not set: the cache grows until the machine has no memory left", set)
	case e.Policy == "noeviction" && used >= most/10*9:
		return found(LevelFailed, "maxmemory-policy is noeviction and %d of %d bytes are used: fills fail when it is full, and everything is loaded", "CONFIG SET maxmemory-policy allkeys-lfu", used, most)
	case e.Policy == "noeviction":
		return found(LevelFailed, "maxmemory-policy is noeviction: when maxmemory (%d bytes) is reached, nothing is stored any more", "CONFIG SET maxmemory-policy allkeys-lfu", most)
	case e.Policy == "volatile-ttl":
		return found(LevelWarning, "maxmemory-policy is volatile-ttl: leases live shortest and are evicted first, each at the price of a load", "CONFIG SET maxmemory-policy allkeys-lfu")
	case strings.HasPrefix(e.Policy, "volatile-"):
		return found(LevelWarning, "maxmemory-policy is %s: keys without a TTL, of other programs, are never evicted and may leave no room for entries", "CONFIG SET maxmemory-policy allkeys-lfu", e.Policy)
	case e.Evicted > 0:
		return found(LevelNote, "%d of %d bytes used, %s; %d keys were evicted: while it evicts, memory keeps entries from one heartbeat to the next only", "", used, most, e.Policy, e.Evicted)
	}
	return found(LevelOK, "%d of %d bytes used, %s", "", used, most, e.Policy)
}

func checkPersistence(_ context.Context, e *exam) []Finding {
	save, told := e.config["save"]
	appends, failing := e.Info["aof_enabled"] == "1", e.Info["rdb_last_bgsave_status"] == "err"
	if failing && save != "" && e.config["stop-writes-on-bgsave-error"] != "no" {
		return found(LevelFailed, "the last snapshot failed, and so Redis refuses writes (MISCONF)", "make room or rights for the snapshot, see the log of the server, or CONFIG SET save \"\"")
	}
	if e.Info["aof_last_write_status"] == "err" {
		return found(LevelFailed, "the last write to the append-only file failed, and so Redis refuses writes", "make room on the disk of the server")
	}
	replay := e.conn.cfg.OnFailover == Replay
	switch {
	case appends:
		return found(LevelOK, "append-only file; after a crash up to a second is lost, and Larder clears the namespace", "")
	case told && save == "":
		return found(LevelNote, "nothing is kept on disk: a restart begins empty, and everything is loaded once", "")
	case !told:
		return found(LevelSkipped, "the user may not read the setting save; there is no append-only file", "")
	case replay:
		return found(LevelFailed, "snapshots only (save %q) and OnFailover is Replay: a restart brings deleted entries back, and they are served until they expire", "use an append-only file, no persistence, or OnFailover Clear", save)
	}
	return found(LevelNote, "snapshots only (save %q): after a crash Larder clears the namespace, as deleted entries may have come back; keeping nothing costs less", "", save)
}

func checkReplicas(_ context.Context, e *exam) []Finding {
	least, told := e.setting("min-replicas-to-write")
	lag, _ := e.setting("min-replicas-max-lag")
	replicas := number(e.Info["connected_slaves"])
	if e.Role != "master" || e.conn.keys.clustered() {
		return nil // a replica has none; see the check of the cluster
	}
	const bound = "while an isolated old master takes writes beside the new one, invalidations there are lost for as long as that lasts"
	switch {
	case !told:
		return found(LevelSkipped, "the user may not read min-replicas-to-write; %d replicas are connected", "", replicas)
	case replicas == 0 && least == 0 && e.conn.cfg.Topology == Standalone:
		return found(LevelOK, "no replicas", "")
	case replicas < least || e.Info["min_slaves_good_slaves"] != "" && number(e.Info["min_slaves_good_slaves"]) < least:
		return found(LevelFailed, "min-replicas-to-write is %d and %d replicas are connected: Redis refuses writes (NOREPLICAS)", "bring the replicas back, or lower min-replicas-to-write", least, replicas)
	case least == 0:
		return found(LevelWarning, "%d replicas and min-replicas-to-write is 0: "+bound, "CONFIG SET min-replicas-to-write 1, and min-replicas-max-lag 10 or less", replicas)
	case lag == 0 || lag > 10:
		return found(LevelWarning, "min-replicas-max-lag is %d s (0: none): "+bound, "CONFIG SET min-replicas-max-lag 10 or less", lag)
	}
	return found(LevelOK, "%d replicas; an isolated master refuses writes after %d s", "", replicas, lag)
}

func checkCluster(_ context.Context, e *exam) []Finding {
	const assign = "give the slots to masters: redis-cli --cluster fix"
	if !e.conn.keys.clustered() {
		return nil
	}
	field := func(name string) int64 { return number(infoField(e.cluster, "cluster_"+name)) }
	state, failing, masterless := infoField(e.cluster, "cluster_state"), field("slots_fail"), slots-field("slots_assigned")
	timeout, told := e.setting("cluster-node-timeout")
	switch {
	case e.cluster == "":
		return found(LevelSkipped, "the user may not read CLUSTER INFO", "")
	case masterless > 0 && state != "ok":
		return found(LevelFailed, "%d of %d slots have no master, and so the servers refuse all keys", assign, masterless, slots)
	case masterless > 0:
		return found(LevelFailed, "%d of %d slots have no master: their keys are refused", assign, masterless, slots)
	case state != "ok" || failing > 0:
		return found(LevelFailed, "the cluster is in the state %s, %d slots fail", "look at CLUSTER NODES for the servers that are away", state, failing)
	case number(e.Info["connected_slaves"]) == 0:
		return found(LevelWarning, "this master has no replica: when it dies, its part of the keys has no place", "add a replica")
	case told && timeout > 15_000:
		return found(LevelWarning, "cluster-node-timeout is %v: while two masters exist, for so long invalidations may be lost", "lower cluster-node-timeout to 15 s or less", time.Duration(timeout)*time.Millisecond)
	}
	return found(LevelOK, "the cluster is complete; an isolated master refuses writes after %v", "", time.Duration(timeout)*time.Millisecond)
}

func checkClients(_ context.Context, e *exam) []Finding {
	most, told := e.setting("maxclients")
	if told && most > 0 && e.Clients >= most/10*9 {
		return found(LevelWarning, "%d of at most %d clients are connected", "raise maxclients, or find who keeps connections", e.Clients, most)
	}
	return found(LevelOK, "%d clients, %d of them are told of changes", "", e.Clients, e.TrackingClients)
}

func checkSecurity(_ context.Context, e *exam) []Finding {
	cfg := &e.conn.cfg
	host, _, _ := net.SplitHostPort(e.Address)
	ip := net.ParseIP(host)
	if cfg.Network == "unix" || host == "localhost" || ip != nil && ip.IsLoopback() {
		return found(LevelOK, "on this machine", "")
	}
	switch {
	case cfg.Password == "":
		return found(LevelWarning, "anybody who reaches the server may read and change everything: there is no password", "make a user for the namespace, with the rights of the package documentation")
	case cfg.TLS == nil:
		return found(LevelNote, "the connection is not encrypted", "")
	}
	return found(LevelOK, "TLS and a password", "")
}

// perNode is how much MaxStaleness each process should add beyond the first 250.
const perNode = 4 * time.Millisecond

func checkSettings(ctx context.Context, e *exam) []Finding {
	bound := e.inspector.MaxStaleness()
	members, err := e.inspector.Members(ctx, 0)
	ids := map[string]bool{}
	for _, m := range members {
		ids[m.ID] = true
	}
	n := len(ids)
	least := time.Duration(n) * perNode
	switch {
	case err != nil:
		return found(LevelSkipped, "the registry of members cannot be read: %v", "", err)
	case bound == 0:
		return found(LevelNote, "no program has used this namespace yet", "")
	case n > 250 && bound < least:
		return found(LevelWarning, "%d processes with a MaxStaleness of %v: heartbeats load every server", "raise MaxStaleness in all of them: 4 ms per process", n, bound)
	case e.conn.cfg.MaxStaleness > bound && e.conn.cfg.MaxStaleness != defaultStaleness:
		return found(LevelWarning, "this configuration has a MaxStaleness of %v, the namespace has agreed on %v, which holds", "give all programs the same", e.conn.cfg.MaxStaleness, bound)
	}
	return found(LevelOK, "%d processes, MaxStaleness %v", "", n, bound)
}
