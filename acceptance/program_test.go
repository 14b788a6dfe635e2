package acceptance

import (
	"os/exec"
	"slices"
)

// goCommand is a command of go with the flags that this test was built with.
func goCommand(dir, verb string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", slices.Concat([]string{verb}, buildFlags, args)...)
	cmd.Dir = dir
	return cmd
}
