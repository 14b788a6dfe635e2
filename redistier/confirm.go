package redistier

import (
	"context"

	"github.com/larder-go/larder"
)

// Confirm is not established here yet.
func (t *Tier) Confirm(ctx context.Context, keys []string) error { return larder.ErrUnavailable }
