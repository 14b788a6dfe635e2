package redistier

import (
	"context"
	"strconv"

	"github.com/redis/rueidis"
)

// eval runs a script, by its text if the server does not know it.
func (c *conn) eval(ctx context.Context, s *script, keys, args []string) rueidis.RedisResult {
	count := strconv.Itoa(len(keys))
	result := c.sendOne(ctx, c.client.B().Arbitrary("EVALSHA", s.sha, count).Keys(keys...).Args(args...).Build())
	if isMissing(&result) {
		result = c.sendOne(ctx, c.client.B().Arbitrary("EVAL", s.text, count).Keys(keys...).Args(args...).Build())
	}
	return result
}
