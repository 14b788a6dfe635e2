package redistier

import (
	"context"
	"strconv"
	"sync"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
)

// maxRun bounds the keys of one MGET, maxWrites those of one script, so that no
// command keeps the server for long.
const (
	maxRun    = 512
	maxWrites = 64
)

// step is one command of a pipeline: it serves ops[first : first+count].
type step struct{ first, count int }

// do carries out ops as one pipeline and repeats what found no script.
func (c *conn) do(ctx context.Context, ops []larder.Op, replies []larder.Reply) {
	switch {
	case len(ops) == 0:
		return
	case len(ops) <= readTogether && onlyReads(ops):
		c.getFew(ctx, ops, replies)
	default:
		c.doTogether(ctx, ops, replies)
	}
}

// doTogether is do for ops that share a command with no others.
func (c *conn) doTogether(ctx context.Context, ops []larder.Op, replies []larder.Reply) {
	if c.run(ops) == len(ops) {
		c.doOne(ctx, ops, replies)
		return
	}
	steps, commands := c.plan(ops)
	results := c.send(ctx, commands)
	if missing := firstMissing(results); missing >= 0 {
		c.repeat(ctx, ops, steps, results, missing)
	}
	for i, s := range steps {
		c.receive(ops[s.first:s.first+s.count], &results[i], replies[s.first:s.first+s.count])
	}
}

func onlyReads(ops []larder.Op) bool {
	for i := range ops {
		if ops[i].Kind != larder.OpGet {
			return false
		}
	}
	return true
}

// doOne carries out what a single command can.
func (c *conn) doOne(ctx context.Context, ops []larder.Op, replies []larder.Reply) {
	result := c.sendOne(ctx, c.command(ops, false))
	if isMissing(&result) {
		result = c.sendOne(ctx, c.command(ops, true))
	}
	c.receive(ops, &result, replies)
}

// plan builds the commands for ops, and says which ops each serves.
func (c *conn) plan(ops []larder.Op) ([]step, []rueidis.Completed) {
	n := c.countSteps(ops)
	steps, commands := make([]step, 0, n), make([]rueidis.Completed, 0, n)
	for first := 0; first < len(ops); {
		s := step{first: first, count: c.run(ops[first:])}
		commands = append(commands, c.command(ops[first:first+s.count], false))
		steps = append(steps, s)
		first += s.count
	}
	return steps, commands
}

func (c *conn) countSteps(ops []larder.Op) int {
	n := 0
	for first := 0; first < len(ops); first += c.run(ops[first:]) {
		n++
	}
	return n
}

// run returns how many leading ops one command can serve. In a cluster a
// command has one slot.
func (c *conn) run(ops []larder.Op) int {
	if c.keys.clustered() {
		return 1
	}
	most := 1
	switch {
	case ops[0].Kind == larder.OpGet:
		most = maxRun
	case writesTogether(&ops[0]):
		most = maxWrites
	}
	n := 1
	for n < min(len(ops), most) && ops[n].Kind == ops[0].Kind && !ops[n].KeepHold {
		n++
	}
	return n
}

// writesTogether reports whether the op's script takes several keys. Such a script
// reads by one command: up to Redis 7.0, each reading command of a script registers
// all keys of the script for this client's pushes, so the time for reading one by
// one grows with the square of their number.
func writesTogether(op *larder.Op) bool {
	return op.Kind == larder.OpAcquire || op.Kind == larder.OpFill || op.Kind == larder.OpSet && !op.KeepHold
}

// send sends commands as one pipeline and waits for all replies within ctx.
func (c *conn) send(ctx context.Context, commands []rueidis.Completed) []rueidis.RedisResult {
	mark, err := c.flow.enter(ctx, c.dead)
	if err != nil {
		results := make([]rueidis.RedisResult, len(commands))
		for i := range results {
			results[i] = rueidis.NewErrorResult(err)
		}
		return results
	}
	results := c.client.DoMulti(ctx, commands...)
	c.flow.leave(ctx, mark, results[len(results)-1].NonRedisError())
	return results
}

// sendOne sends one command and waits for its reply within ctx.
func (c *conn) sendOne(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	mark, err := c.flow.enter(ctx, c.dead)
	if err != nil {
		return rueidis.NewErrorResult(err)
	}
	result := c.client.Do(ctx, command)
	c.flow.leave(ctx, mark, result.NonRedisError())
	return result
}

// firstMissing returns the first result that is NOSCRIPT, -1 without any.
func firstMissing(results []rueidis.RedisResult) int {
	for i := range results {
		if isMissing(&results[i]) {
			return i
		}
	}
	return -1
}

func isMissing(result *rueidis.RedisResult) bool {
	e, ok := rueidis.IsRedisErr(result.Error())
	return ok && e.IsNoScript()
}

// repeat carries out the steps that found no script, by EVAL, which also loads
// it. To keep the order of the ops, what followed the first of them is
// repeated as well, except scripts that did run: they are not idempotent.
func (c *conn) repeat(ctx context.Context, ops []larder.Op, steps []step, results []rueidis.RedisResult, first int) {
	var again []int
	var commands []rueidis.Completed
	for i := first; i < len(steps); i++ {
		missing := isMissing(&results[i])
		if missing || plain(&ops[steps[i].first]) {
			s := steps[i]
			again = append(again, i)
			commands = append(commands, c.command(ops[s.first:s.first+s.count], missing))
		}
	}
	for i, result := range c.send(ctx, commands) {
		old := &results[again[i]]
		if n, err := old.ToInt64(); err == nil && n > 0 && ops[steps[again[i]].first].Kind == larder.OpDelete && result.Error() == nil {
			continue // the first DEL found the key, the second could not
		}
		*old = result
	}
}

// plain reports whether an op is an idempotent command and no script.
func plain(op *larder.Op) bool {
	return op.Kind == larder.OpGet || op.Kind == larder.OpRanks || op.Kind == larder.OpDelete && !op.KeepHold
}

// command builds the command for a run of ops; eval sends the script's text.
func (c *conn) command(ops []larder.Op, eval bool) rueidis.Completed {
	op := &ops[0]
	switch {
	case len(ops) > 1 && op.Kind == larder.OpGet:
		return c.mget(ops)
	case len(ops) > 1:
		return c.writes(ops, eval)
	case op.Kind == larder.OpGet:
		return c.client.B().Get().Key(op.Key).Build()
	case op.Kind == larder.OpRanks:
		return c.client.B().Hgetall().Key(op.Key).Build()
	case op.Kind == larder.OpDelete && !op.KeepHold:
		return c.client.B().Del().Key(op.Key).Build()
	}
	return c.evaluation(scriptFor(op), c.keys.scriptKeys(op), arguments(op), eval)
}

// writes builds one script for a run of writes of a kind: it takes the arguments
// of each key in turn.
func (c *conn) writes(ops []larder.Op, eval bool) rueidis.Completed {
	keys := make([]string, len(ops))
	args := make([]string, 0, argumentsMost*len(ops))
	for i := range ops {
		keys[i] = ops[i].Key
		args = append(args, arguments(&ops[i])...)
	}
	return c.evaluation(scriptFor(&ops[0]), keys, args, eval)
}

func (c *conn) evaluation(s *script, keys, args []string, eval bool) rueidis.Completed {
	name, id := "EVALSHA", s.sha
	if eval {
		name, id = "EVAL", s.text
	}
	return c.client.B().Arbitrary(name, id, strconv.Itoa(len(keys))).Keys(keys...).Args(args...).Build()
}

// mget builds one command for a run of reads. The builder gets all keys at
// once, as it hashes the first key of every call.
func (c *conn) mget(ops []larder.Op) rueidis.Completed {
	names := namesPool.Get().(*[]string)
	defer namesPool.Put(names)
	*names = (*names)[:0]
	for i := range ops {
		*names = append(*names, ops[i].Key)
	}
	return c.client.B().Mget().Key(*names...).Build()
}

var namesPool = sync.Pool{New: func() any { return new([]string) }}
