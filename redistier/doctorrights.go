package redistier

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// trial is the use of one right.
type trial struct {
	right string // as ACL SETUSER names it
	args  []string
}

// trials use the rights of the package documentation, on keys of their own that
// the last ones delete. HELLO is tried by the check of pushes.
func trials(entry, control, plain string, clustered bool) []trial {
	list := control + "l"
	all := []trial{
		{"+set", []string{"SET", entry, "x", "PX", "1000"}}, {"+get", []string{"GET", entry}},
		{"+mget", []string{"MGET", entry}}, {"+exists", []string{"EXISTS", entry}},
		{"+getrange", []string{"GETRANGE", entry, "0", "0"}}, {"+pttl", []string{"PTTL", entry}},
		{"+pexpire", []string{"PEXPIRE", entry, "1000"}},
		{"+hset", []string{"HSET", control, "f", "1"}}, {"+pexpire", []string{"PEXPIRE", control, "1000"}},
		{"+hget", []string{"HGET", control, "f"}}, {"+hgetall", []string{"HGETALL", control}},
		{"+hincrby", []string{"HINCRBY", control, "f", "1"}}, {"+hdel", []string{"HDEL", control, "f"}},
		{"+lpush", []string{"LPUSH", list, "x"}}, {"+pexpire", []string{"PEXPIRE", list, "1000"}},
		{"+ltrim", []string{"LTRIM", list, "0", "0"}}, {"+lindex", []string{"LINDEX", list, "0"}},
		{"+lrange", []string{"LRANGE", list, "0", "0"}},
		{"+eval", []string{"EVAL", "return 1", "1", entry}}, {"+evalsha", []string{"EVALSHA", inspectScript.sha, "1", entry}},
		{"+script|load", []string{"SCRIPT", "LOAD", inspectScript.text}},
		{"+scan", []string{"SCAN", "0", "COUNT", "1"}}, {"+time", []string{"TIME"}}, {"+ping", []string{"PING"}},
		{"+info", []string{"INFO", "server"}}, {"+client|id", []string{"CLIENT", "ID"}},
		{"+client|setname", []string{"CLIENT", "SETNAME", "larder"}}, {"+client|tracking", []string{"CLIENT", "TRACKING", "OFF"}},
		{"+get", []string{"GET", plain}}, {"+unlink", []string{"UNLINK", entry}}, {"+del", []string{"DEL", entry}},
		{"+del", []string{"DEL", list}}, {"+del", []string{"DEL", control}},
	}
	if clustered {
		return append(all, trial{"+cluster|slots", []string{"CLUSTER", "SLOTS"}}, trial{"+cluster|nodes", []string{"CLUSTER", "NODES"}})
	}
	return append(all, trial{"+select", []string{"SELECT", ""}})
}

// checkRights uses every right that the tier needs.
func checkRights(ctx context.Context, e *exam) []Finding {
	if e.Role != "master" {
		return found(LevelSkipped, "most rights are to write, which replicas refuse", "")
	}
	k := &e.conn.keys
	stripe := &k.stripes[0]
	if owned := e.conn.server.owned(); len(owned) > 0 {
		stripe = owned[0]
	}
	entry, control := k.entry+"larder-doctor:"+newMemberID(), stripe.probe+"#"+newMemberID()
	if k.clustered() {
		entry += "{" + hashTags[stripe.index] + "}"
	}
	all := trials(entry, control, stripe.namespace, k.clustered())
	commands := make([]rueidis.Completed, len(all))
	for i, t := range all {
		if t.right == "+select" {
			t.args[1] = strconv.Itoa(e.conn.cfg.DB)
		}
		commands[i] = e.conn.client.B().Arbitrary(t.args[0]).Args(t.args[1:]...).Build()
	}
	var missing, unknown []string
	for i, result := range e.conn.send(ctx, commands) {
		switch err := result.Error(); {
		case err == nil || rueidis.IsRedisNil(err):
		case strings.Contains(err.Error(), "unknown command"), strings.Contains(err.Error(), "Unknown subcommand"):
			unknown = append(unknown, strings.ToUpper(strings.ReplaceAll(all[i].right[1:], "|", " ")))
		case strings.Contains(err.Error(), "access a key"), strings.Contains(err.Error(), "access one of the keys"):
			missing = append(missing, k.patternFor(all[i].args[1]))
		case strings.HasPrefix(err.Error(), "NOPERM"), strings.Contains(err.Error(), "ACL failure"):
			missing = append(missing, all[i].right)
		}
	}
	return e.judgeRights(unique(missing), unique(unknown), len(all))
}

func (e *exam) judgeRights(missing, unknown []string, tried int) []Finding {
	var list []Finding
	if len(unknown) > 0 {
		list = found(LevelFailed, "the server knows no %s: renamed or disabled", "take rename-command for them out of redis.conf", strings.Join(unknown, ", "))
	}
	if len(missing) > 0 {
		user := e.conn.cfg.Username
		if user == "" {
			user = "default"
		}
		advice := fmt.Sprintf("ACL SETUSER %s %s", user, strings.Join(missing, " "))
		list = append(list, found(LevelFailed, "the user %s lacks %s", advice, user, strings.Join(missing, " "))...)
	}
	if list == nil {
		return found(LevelOK, "all %d that Larder uses were tried", "", tried)
	}
	return list
}

// patternFor returns the pattern of keys that a user needs for key.
func (k *keys) patternFor(key string) string {
	if !strings.HasPrefix(key, reserved) {
		return "~" + k.entry + "*"
	}
	pattern := "~" + reserved + "?:" + ownNamespace(k)
	if strings.Contains(key[len(reserved):], "#") {
		pattern += "#*"
	}
	return pattern
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
