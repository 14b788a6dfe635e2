// Command larder looks into a namespace of Larder in Redis, and invalidates in
// it. See docs/cli.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	s.asks, s.draws = isTerminal(os.Stdin), isTerminal(os.Stderr)
	s.colors = isTerminal(os.Stdout) && wantsColors(os.Getenv)
	if isTerminal(os.Stdout) {
		s.out = harmless{os.Stdout}
	}
	if s.draws {
		s.err = harmless{os.Stderr}
	}
	os.Exit(run(ctx, os.Args[1:], s))
}

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2 // also for a bad configuration, and where a confirmation is missing
	exitNotFound    = 3
	exitDenied      = 4
	exitUnreachable = 5
	exitProblems    = 6 // doctor found some
)

// streams are what a command touches of its process: data on out, talk on err.
type streams struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	asks     bool // in is a terminal: somebody can answer
	draws    bool // err is one: counters may be drawn
	colors   bool // out is one that shows colors
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// wantsColors honours no-color.org and terminals that know none.
func wantsColors(getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(s.err, "larder: %s\n", text)
	}
	return codeOf(err)
}

// exitError is an error with its exit code. An empty text is not printed: all was
// said before.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &exitError{exitNotFound, fmt.Errorf(format, args...)}
}

// codeOf returns the exit code for an error. What is not marked comes from the
// parser of the command line.
func codeOf(err error) int {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return exitUsage
}

// marked gives an error of a command its exit code.
func marked(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*exitError](err); ok {
		return err
	}
	_, bad := errors.AsType[*redistier.EnvError](err)
	switch {
	case bad, errors.Is(err, larder.ErrInvalidKey):
		return &exitError{exitUsage, err}
	case redistier.Denied(err):
		return &exitError{exitDenied, err}
	case errors.Is(err, larder.ErrUnavailable) && !errors.Is(err, larder.ErrPending):
		return &exitError{exitUnreachable, err}
	}
	return &exitError{exitFailed, err}
}

// app is one call of the program.
type app struct {
	streams
	flags struct {
		url, namespace, keyFile string
		json, yes               bool
	}
}

// root builds the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "larder",
		Short: "look into a namespace of Larder in Redis, and invalidate in it",
		Long: "Redis is found as programs find it, by REDIS_URL, REDIS_HOST, REDIS_PASSWORD and their like, on a server,\n" +
			"over Sentinels or in a Cluster. Names are those of entries in the namespace, such as suite:42.\n" +
			"Data goes to stdout, talk to stderr. It never sends KEYS, FLUSHDB, FLUSHALL or MONITOR.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 usage or no confirmation, 3 not found, 4 Redis refused the user,\n" +
			"5 Redis unreachable, 6 doctor found problems.",
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := root.PersistentFlags()
	f.StringVar(&a.flags.url, "url", "", "where Redis is, as REDIS_URL, which it replaces")
	f.StringVarP(&a.flags.namespace, "namespace", "n", "", "the namespace; default CACHE_NAMESPACE")
	f.StringVar(&a.flags.keyFile, "key-file", "", "keys of encrypted values; default CACHE_KEY_FILE")
	f.BoolVar(&a.flags.json, "json", false, "print JSON, one document a line")
	root.AddCommand(a.getCommand(), a.explainCommand(), a.ttlCommand(), a.keysCommand(), a.delCommand(), a.invalidateCommand(),
		a.clearCommand(), a.statsCommand(), a.topCommand(), a.watchCommand(), a.warmCommand(), a.doctorCommand(), a.benchCommand(), a.manCommand(), a.versionCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Long != "" && c.Name() != "completion" {
			c.Long = c.Short + ".\n\n" + c.Long
		}
		if inner := c.RunE; inner != nil {
			c.RunE = func(cmd *cobra.Command, args []string) error { return marked(inner(cmd, args)) }
		}
	}
	return root
}

// config returns how to reach Redis.
func (a *app) config() (redistier.Config, error) {
	cfg := redistier.FromGetenv(func(name string) string {
		if name == "REDIS_URL" && a.flags.url != "" {
			return a.flags.url
		}
		return a.getenv(name)
	})
	for _, warning := range cfg.Warnings() {
		fmt.Fprintf(a.err, "larder: %s\n", warning)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, &exitError{exitUsage, err}
	}
	return cfg, nil
}

func (a *app) namespace() string {
	if a.flags.namespace != "" {
		return a.flags.namespace
	}
	return a.getenv("CACHE_NAMESPACE")
}

// inspect connects and runs f.
func (a *app) inspect(ctx context.Context, f func(*redistier.Inspector) error) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	i, err := redistier.Inspect(ctx, cfg, a.namespace())
	switch {
	case err == nil:
	case redistier.Denied(err):
		return &exitError{exitDenied, err}
	case errors.Is(err, larder.ErrUnavailable):
		return &exitError{exitUnreachable, err}
	default:
		return &exitError{exitUsage, err}
	}
	err = f(i)
	if closing := i.Close(); err == nil {
		err = closing
	}
	return err
}
