// Command qadash is the QA dashboard: a server with pages and a REST interface
// for test reports, and the client that sends them from CI.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // trends take any time zone, also where the system has none

	"github.com/larder-go/larder/dashboard/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.LookupEnv}
	os.Exit(run(ctx, os.Args[1:], s))
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // also for a bad configuration
)

// streams are what a command touches of its process.
type streams struct {
	in       io.Reader
	out, err io.Writer
	env      config.Env
}

// command is one subcommand. It has explained a failure on s.err when it
// returns another code than 0.
type command struct {
	name, args, summary string
	run                 func(ctx context.Context, args []string, s streams) error
}

var commands = []command{
	{"serve", "", "run the server", serve},
	{"report", "FILE…", "send test reports to a server", report},
	{"run", "-- COMMAND…", "run a test command and report it while it runs", runCommand},
	{"seed", "", "fill an empty database with demo data", seed},
	{"config", "", "print the configuration in effect, secrets masked", printConfig},
	{"healthcheck", "", "ask a running server whether it is ready", healthcheck},
	{"version", "", "print the version", version},
}

func run(ctx context.Context, args []string, s streams) int {
	if len(args) == 0 {
		usage(s.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(s.out)
		return exitOK
	}
	for _, c := range commands {
		if c.name == args[0] {
			return exitCode(c.run(ctx, args[1:], s), c, s)
		}
	}
	fmt.Fprintf(s.err, "qadash: there is no command %q\n", args[0])
	usage(s.err)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: qadash COMMAND [FLAGS]")
	fmt.Fprintln(w)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-22s %s\n", c.name+" "+c.args, c.summary)
	}
	fmt.Fprintln(w, "\nqadash COMMAND -h shows the flags; qadash config shows the environment variables.")
}

// usageError is a mistake in how a command was called.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func exitCode(err error, c command, s streams) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	if faults := config.Faults(err); len(faults) > 0 {
		for _, f := range faults {
			fmt.Fprintf(s.err, "qadash: %v\n", f)
		}
		return exitUsage
	}
	fmt.Fprintf(s.err, "qadash %s: %v\n", c.name, err)
	_, badUse := errors.AsType[*usageError](err)
	_, badConfig := errors.AsType[*configError](err)
	if badUse || badConfig {
		return exitUsage
	}
	return exitFailed
}

// flags makes the flag set of a command, which reports its mistakes as usage errors.
func flags(name, args string, s streams) *flag.FlagSet {
	f := flag.NewFlagSet("qadash "+name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {
		fmt.Fprintf(s.out, "usage: qadash %s [FLAGS] %s\n", name, args)
		f.SetOutput(s.out)
		f.PrintDefaults()
		f.SetOutput(io.Discard)
	}
	return f
}

func parse(f *flag.FlagSet, args []string) error {
	err := f.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return &usageError{err.Error()}
}

// noArgs parses a command line that takes no arguments.
func noArgs(f *flag.FlagSet, args []string) error {
	if err := parse(f, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return &usageError{fmt.Sprintf("takes no argument, got %q", f.Arg(0))}
	}
	return nil
}

func logger(c config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
