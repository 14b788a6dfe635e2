package acceptance

import (
	"os/exec"
	"slices"
	"strings"
)

// goCommand is a command of go with the flags that this test was built with.
func goCommand(dir, verb string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", slices.Concat([]string{verb}, buildFlags, args)...)
	cmd.Dir = dir
	return cmd
}

// goFlags are the same flags for the environment of commands that call go
// themselves.
func goFlags() string { return `GOFLAGS="` + strings.Join(buildFlags, `" "`) + `"` }
