package redistier

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
)

// get reads one key.
func (c *conn) get(ctx context.Context, key string) larder.Reply {
	result := c.sendOne(ctx, c.client.B().Get().Key(key).Build())
	if err := result.NonRedisError(); err != nil {
		return larder.Reply{Err: lost(err)}
	}
	message, err := result.ToMessage()
	return c.present(&message, err)
}

// lost describes an error of the connection.
func lost(err error) error {
	switch {
	case errors.Is(err, errRedial):
		return larder.ErrUnavailable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("redistier: connection lost: %w", err)
}

// present is the reply for a message that is nil or a string.
func (c *conn) present(message *rueidis.RedisMessage, err error) larder.Reply {
	switch {
	case err == nil:
		data, err := message.ToString()
		return larder.Reply{State: larder.Present, Data: data, Err: err}
	case rueidis.IsRedisNil(err):
		return larder.Reply{State: larder.Absent}
	}
	return larder.Reply{Err: c.refused(err)}
}
