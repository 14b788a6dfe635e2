//go:build race

package acceptance

// buildFlags are those of make test, so that the programs under test share what
// it has compiled already.
var buildFlags = []string{"-buildvcs=false", "-trimpath", "-race", "-gcflags=all=-dwarf=false",
	"-gcflags=modernc.org/sqlite/lib=-dwarf=false -race=false", "-gcflags=modernc.org/libc/...=-dwarf=false -race=false -l"}
