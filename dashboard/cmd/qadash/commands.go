package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/config"
	"github.com/larder-go/larder/redistier"
)

// seed fills an empty database.
func seed(ctx context.Context, args []string, s streams) (err error) {
	f := flags("seed", "", s)
	var o dashboard.SeedOptions
	f.Uint64Var(&o.Seed, "seed", 1, "equal seeds give equal data")
	f.IntVar(&o.Days, "days", 30, "days back from now that have executions")
	f.IntVar(&o.Suites, "suites", 8, "number of suites, at most 8")
	f.IntVar(&o.CasesPerSuite, "cases", 24, "number of cases of each suite")
	f.IntVar(&o.RunsPerDay, "runs", 4, "executions of a suite on a working day")
	if err := noArgs(f, args); err != nil {
		return err
	}
	c, err := config.Load(s.env)
	if err != nil {
		return err
	}
	b, err := open(ctx, c, logger(c, s.err))
	if err != nil {
		return err
	}
	defer func() { err = joined(err, b.close()) }()
	seeder, ok := b.store.(dashboard.Seeder)
	if !ok {
		return errors.New("this store has no demo data")
	}
	start := time.Now()
	change, err := seeder.Seed(ctx, o)
	if errors.Is(err, dashboard.ErrConflict) {
		return errors.New("the database has suites already; demo data goes into an empty one only")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d suites, %d cases and %d executions written to %s in %s\n", len(change.Suites), len(change.Cases), len(change.Executions),
		describe(c.Database), time.Since(start).Round(time.Millisecond))
	return nil
}

// printConfig shows every variable; a bad one fails it as it would fail serve.
func printConfig(_ context.Context, args []string, s streams) error {
	f := flags("config", "", s)
	table := f.Bool("table", false, "print all variables with their meaning as a Markdown table")
	if err := noArgs(f, args); err != nil {
		return err
	}
	if *table {
		return config.Table(s.out)
	}
	c, err := config.Load(s.env)
	if err != nil {
		return err
	}
	redis := redistier.FromGetenv(func(name string) string { value, _ := s.env(name); return value })
	if err := redis.Validate(); err != nil && c.Cache.Enabled {
		return &configError{err}
	}
	if _, err := keyRing(c.Cache); err != nil {
		return err
	}
	return config.Print(s.out, s.env)
}

// healthcheck is for container engines, whose images have no curl.
func healthcheck(ctx context.Context, args []string, s streams) error {
	f := flags("healthcheck", "", s)
	address := f.String("url", "", "address of the server; default from ADDR")
	if err := noArgs(f, args); err != nil {
		return err
	}
	if *address == "" {
		c, err := config.Load(s.env)
		if err != nil {
			return err
		}
		host, port, _ := net.SplitHostPort(c.Addr)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		*address = "http://" + net.JoinHostPort(host, port)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, *address+"/readyz", nil)
	if err != nil {
		return &usageError{fmt.Sprintf("--url %q is not an address", *address)}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return cause(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", response.Status)
	}
	fmt.Fprintln(s.out, "ready")
	return nil
}

// stamped is set by the linker for releases.
var stamped string

func buildVersion() string {
	if stamped != "" {
		return stamped
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func version(_ context.Context, args []string, s streams) error {
	if err := noArgs(flags("version", "", s), args); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "qadash %s %s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
