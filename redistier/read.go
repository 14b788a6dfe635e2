package redistier

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
)

// getAlone reads one key by a command of its own.
func (c *conn) getAlone(ctx context.Context, key string) larder.Reply {
	result := c.sendOne(ctx, c.client.B().Get().Key(key).Build())
	return c.got(&result)
}

// got is the reply to a GET.
func (c *conn) got(result *rueidis.RedisResult) larder.Reply {
	if err := result.NonRedisError(); err != nil {
		return larder.Reply{Err: lost(err)}
	}
	message, err := result.ToMessage()
	return c.present(&message, err)
}

// gotAll takes the reply to one command for n keys apart.
func (c *conn) gotAll(result *rueidis.RedisResult, n int) ([]rueidis.RedisMessage, error) {
	if err := result.NonRedisError(); err != nil {
		return nil, lost(err)
	}
	if err := result.Error(); err != nil {
		return nil, c.refused(err)
	}
	values, err := result.ToArray()
	if err != nil || len(values) != n {
		return nil, fmt.Errorf("redistier: a command for %d keys answered %d values: %w", n, len(values), err)
	}
	return values, nil
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
