package larder_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/larder-go/larder"

// imports returns what the files of every package of the repository import,
// by directory. Test files come under their directory with "_test" behind it.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (d.Name()[0] == '.' || d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(file))
		if strings.HasSuffix(file, "_test.go") {
			dir += "_test"
		}
		for _, spec := range f.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			found[dir] = append(found[dir], name)
		}
		found[dir] = append(found[dir], "") // a directory without imports counts
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// within reports whether an import or a directory is pkg or below it.
func within(name, pkg string) bool { return name == pkg || strings.HasPrefix(name, pkg+"/") }

func standard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".")
}

// local returns the directory of a package of this repository.
func local(name string) (dir string, ok bool) {
	if name == module {
		return ".", true
	}
	return strings.CutPrefix(name, module+"/")
}

// TestWhoMayImportWhom holds the layers. Each rule says what it keeps apart and
// why; rules are about the code that ships, but where they say "tests".
func TestWhoMayImportWhom(t *testing.T) {
	engines := map[string]string{
		"internal/memory":   "github.com/maypok86/otter/v2",
		"internal/compress": "github.com/klauspost/compress",
		"internal/jsondoc":  "github.com/go-json-experiment/json",
	}
	layers := []string{"dashboard/ingest", "dashboard/sqlstore", "dashboard/api", "dashboard/web"}
	rules := []struct {
		reason   string
		dir, bad string // an import that the rule refuses
		wrong    func(dir, name string) bool
	}{
		{"the root has no dependencies: whoever uses Larder pays for what he uses",
			".", "github.com/redis/rueidis", func(dir, name string) bool {
				return dir == "." && !standard(name) && !within(name, module+"/internal")
			}},
		{"internal packages stand alone, so that each can be understood and tested alone",
			"internal/flight", module + "/internal/ticket", func(dir, name string) bool {
				return within(dir, "internal") && !standard(name) && !within(name, engines[dir])
			}},
		{"the Redis client is an implementation detail of redistier",
			"lardertest", "github.com/redis/rueidis", func(dir, name string) bool {
				return within(name, "github.com/redis/rueidis") && !within(dir, "redistier") && !within(dir, "bench")
			}},
		{"lardertest is for tests",
			"redistier", module + "/lardertest", func(dir, name string) bool {
				return within(name, module+"/lardertest") && !within(dir, "lardertest") && !within(dir, "bench") && !within(dir, "acceptance")
			}},
		{"clients of monitoring systems stay in the telemetry module, so that the library has no dependency on them",
			"redistier", "github.com/prometheus/client_golang/prometheus", func(dir, name string) bool {
				system := within(name, "github.com/prometheus/client_golang") || within(name, "go.opentelemetry.io")
				return system && !within(dir, "telemetry") && !within(dir, "dashboard") && !within(dir, "bench")
			}},
		{"codecs that need a dependency are modules of their own, for those who want them",
			"redistier", "github.com/vmihailenco/msgpack/v5", func(dir, name string) bool {
				return within(name, "github.com/vmihailenco/msgpack") && !within(dir, "msgpack") && !within(dir, "cmd/larder") && !within(dir, "bench")
			}},
		{"a codec knows the library alone, not a tier or a program",
			"msgpack", module + "/redistier", func(dir, name string) bool {
				return within(dir, "msgpack") && within(name, module) && name != module
			}},
		{"telemetry knows the library alone, not a tier or a program",
			"telemetry/larderprom", module + "/redistier", func(dir, name string) bool {
				return within(dir, "telemetry") && within(name, module) && name != module && !within(name, module+"/telemetry")
			}},
		{"nothing depends on measurements or programs",
			"redistier", module + "/dashboard/cmd/qadash", func(dir, name string) bool {
				to, ok := local(name)
				program := func(dir string) bool { return strings.Contains("/"+dir+"/", "/cmd/") }
				return ok && (within(to, "bench") && !within(dir, "bench") || program(to) && !program(dir))
			}},
		{"the library does not know the dashboard",
			"redistier", module + "/dashboard", func(dir, name string) bool {
				return within(name, module+"/dashboard") && !within(dir, "dashboard")
			}},
		{"the dashboard works without a cache: only cachedstore and the programs know one",
			"dashboard/api", module, func(dir, name string) bool {
				return within(dir, "dashboard") && within(name, module) && !within(name, module+"/dashboard") &&
					!within(dir, "dashboard/cachedstore") && !within(dir, "dashboard/cmd")
			}},
		{"formats, stores and surfaces meet in the domain, never one another",
			"dashboard/api", module + "/dashboard/sqlstore", func(dir, name string) bool {
				to, _ := local(name)
				from := slices.IndexFunc(layers, func(l string) bool { return within(dir, l) })
				other := slices.IndexFunc(layers, func(l string) bool { return within(to, l) })
				return from >= 0 && other >= 0 && from != other
			}},
		{"the domain knows none of its layers",
			"dashboard", module + "/dashboard/api", func(dir, name string) bool {
				return dir == "dashboard" && within(name, module) && name != module+"/dashboard"
			}},
	}
	for _, rule := range rules {
		if !rule.wrong(rule.dir, rule.bad) {
			t.Errorf("%q does not refuse that %s imports %s", rule.reason, rule.dir, rule.bad)
		}
	}
	checked := 0
	for dir, names := range imports(t) {
		if strings.HasSuffix(dir, "_test") {
			continue
		}
		for _, name := range names {
			if name == "" {
				continue
			}
			checked++
			for _, rule := range rules {
				if rule.wrong(dir, name) {
					t.Errorf("%s imports %s: %s", dir, name, rule.reason)
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d imports were found", checked)
	}
}

// TestPackageNames holds that a package is called after what it does, and
// shadows nothing of the standard library that this project uses.
func TestPackageNames(t *testing.T) {
	refused := []string{"util", "utils", "common", "helper", "helpers", "types", "models", "base", "misc",
		"context", "errors", "sync", "time", "strings", "http", "sql", "json", "log", "slog", "rand", "sort", "net", "io"}
	for dir := range imports(t) {
		if name := path.Base(strings.TrimSuffix(dir, "_test")); slices.Contains(refused, name) {
			t.Errorf("a package called %s", dir)
		}
	}
}

// TestPackagesLookForLeaks: a goroutine that is left behind fails the tests of its
// package. Benchmarks, the files of deployment and the codec start none.
func TestPackagesLookForLeaks(t *testing.T) {
	for dir, names := range imports(t) {
		pkg, tests := strings.CutSuffix(dir, "_test")
		if !tests || within(pkg, "bench") || pkg == "deploy" || pkg == "msgpack" {
			continue
		}
		if !slices.Contains(names, "go.uber.org/goleak") && !slices.Contains(names, module+"/dashboard/internal/browsertest") {
			t.Errorf("the tests of %s do not look for goroutines that are left", pkg)
		}
	}
}
