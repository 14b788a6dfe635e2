//go:build race

package acceptance

// buildFlags are those of make test, so that the programs under test share what
// it has compiled already.
var buildFlags = []string{"-buildvcs=false", "-race", "-gcflags=modernc.org/sqlite/lib=-race=false", "-gcflags=modernc.org/libc/...=-race=false -l"}
