package redistier

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/larder-go/larder"
)

// Open returns a cache over the Redis server that cfg names, usually
//
//	cache, err := redistier.Open(ctx, redistier.FromEnv(), larder.Options{Namespace: "shop"})
//
// It waits for the first attempt to connect within ctx. An unreachable server
// is no error: the cache starts without it and uses it as soon as it appears.
// Open fails only for a bad configuration and names every fault of cfg. What is
// surprising about cfg is logged as a warning. A BeatTimeout below twice
// MaxStaleness is raised to that.
func Open(ctx context.Context, cfg Config, opts larder.Options) (*larder.Cache, error) {
	if least := 2 * opts.MaxStaleness; least > defaultBeatTimeout || cfg.BeatTimeout > 0 {
		cfg.BeatTimeout = max(cfg.BeatTimeout, least)
	}
	cfg.MaxStaleness = cmp.Or(opts.MaxStaleness, cfg.MaxStaleness)
	tier, err := New(cfg, opts.Namespace)
	if err != nil {
		return nil, err
	}
	log := opts.Logger
	if log == nil {
		log = slog.Default()
	}
	for _, warning := range cfg.Warnings() {
		log.WarnContext(ctx, "larder: "+warning)
	}
	return larder.NewWithRemote(ctx, tier, opts)
}
