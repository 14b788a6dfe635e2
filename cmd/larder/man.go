package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man", Short: "print the manual page, for man(1)", Args: cobra.NoArgs,
		Example: "  larder man | man -l -\n  larder man > /usr/local/share/man/man1/larder.1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := page{out: a.out}
			p.write(cmd.Root())
			return p.err
		},
	}
}

// page writes a manual page in the macros of man(7).
type page struct {
	out io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *page) write(root *cobra.Command) {
	p.line(`.TH LARDER 1 "" "larder %s" "Larder"`, version())
	p.line(".SH NAME\nlarder \\- %s", roff(root.Short))
	p.line(".SH SYNOPSIS\n.B larder\n.I COMMAND\n.RI [ FLAGS ]")
	p.line(".SH DESCRIPTION\n%s", roff(root.Long))
	p.line(".SH OPTIONS")
	p.flags(root.PersistentFlags())
	p.line(".SH COMMANDS")
	for _, c := range root.Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		p.line(".SS %s", roff(c.Use))
		text := c.Long
		if text == "" || c.Name() == "completion" {
			text = c.Short
		}
		p.line("%s", roff(text))
		p.flags(c.NonInheritedFlags())
		if c.Example != "" {
			p.line(".PP\n.EX\n%s\n.EE", roff(c.Example))
		}
	}
	p.line(".SH ENVIRONMENT\n.BR REDIS_URL ,\n.BR REDIS_HOST ,\n.B REDIS_PASSWORD\nand their like: where Redis is.\n.B CACHE_NAMESPACE\nthe namespace,\n.B CACHE_KEY_FILE\nkeys of encrypted values,\n.B NO_COLOR\nno colors.")
}

func (p *page) flags(set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		name := "\\-\\-" + roff(f.Name)
		if f.Shorthand != "" {
			name = "\\-" + f.Shorthand + ", " + name
		}
		if kind := f.Value.Type(); kind != "bool" {
			name += " " + strings.ToUpper(strings.TrimSuffix(kind, "Array"))
		}
		text := roff(f.Usage)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" && f.DefValue != "[]" {
			text += " (default " + roff(f.DefValue) + ")"
		}
		p.line(".TP\n.B %s\n%s", name, text)
	})
}

// roff escapes what begins a request or means something in a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// stamped is set by the linker for releases.
var stamped string

func version() string {
	if stamped != "" {
		return stamped
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.flags.json {
				return a.document(map[string]string{"version": version(), "go": runtime.Version()})
			}
			_, err := fmt.Fprintf(a.out, "larder %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
