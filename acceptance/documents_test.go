package acceptance

import (
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/larder-go/larder/lardertest"
)

const root = ".."

// documents returns every Markdown file of the project, by path from its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "vendor" || name == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			text, err := os.ReadFile(path)
			texts[strings.TrimPrefix(path, root+"/")] = string(text)
			return err
		}
		return nil
	})
	check(t, err)
	return texts
}

var (
	fence    = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	code     = regexp.MustCompile("`[^`\n]*`")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	testName = regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Za-z0-9_]*)`")
)

// A link that leads nowhere is worse than none.
func TestLinksLeadSomewhere(t *testing.T) {
	for path, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(fence.ReplaceAllString(text, ""), ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := filepath.Join(root, filepath.Dir(path), target)
			if target == "" {
				file = filepath.Join(root, path)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: link to %s: %v", path, m[1], err)
			} else if anchor != "" && !hasAnchor(t, file, anchor) {
				t.Errorf("%s: link to %s: no such heading", path, m[1])
			}
		}
	}
}

// hasAnchor tells whether a heading of file has this anchor, as code hosts make
// them: lower case, words joined by dashes, punctuation dropped.
func hasAnchor(t *testing.T, file, anchor string) bool {
	text, err := os.ReadFile(file)
	check(t, err)
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		slug := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")
		if regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(slug, "") == anchor {
			return true
		}
	}
	return false
}

// What a document claims to be tested is tested: every test that is named in
// one exists.
func TestArchitectureNamesTests(t *testing.T) {
	tests := declaredTests(t)
	for path, text := range documents(t) {
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if !tests[m[1]] {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
	}
}

// declaredTests returns the names of all test functions of all modules.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	check(t, err)
	return names
}

// Every Go block of every document compiles: whole programs as they are,
// fragments inside a function that declares what the documents take for granted.
func TestCodeBlocksCompile(t *testing.T) {
	imports := exports(t)
	for path, text := range documents(t) {
		for i, m := range fence.FindAllStringSubmatch(text, -1) {
			if m[1] != "go" {
				continue
			}
			code := m[2]
			if !strings.HasPrefix(code, "package ") {
				code = preamble + code + "}\n"
			}
			for _, err := range typeErrors(code, imports) {
				t.Errorf("%s, block %d: %v\n%s", path, i+1, err, m[2])
			}
		}
	}
}

// preamble is what stands before a fragment.
const preamble = `package fragment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/larderhttp"
	"github.com/larder-go/larder/outbox"
	"github.com/larder-go/larder/redistier"
)

type Suite struct{ ID int64; Name string }

var (
	ctx       context.Context
	cache     *larder.Cache
	suites    *larder.Keyspace[int64, Suite]
	products  *larder.Keyspace[int64, Suite]
	loadSuite larder.Loader[int64, Suite]
	db        *sql.DB
	request   *http.Request
	response  http.ResponseWriter
	err       error
)

var _, _, _, _, _, _, _ = errors.New, fmt.Sprint, slog.Default, time.Second, redistier.FromEnv, larderhttp.Set, outbox.New

func fragment() {
`

// exports returns the files with the types of all packages that documents use.
func exports(t *testing.T) types.Importer {
	t.Helper()
	out, err := goCommand(root, "list", "-export", "-deps", "-json=ImportPath,Export", "./redistier", "./lardertest", "./larderhttp", "./outbox").Output()
	check(t, err)
	files := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Export string }
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
}

// typeErrors checks code. That a fragment does not use what it declares is
// allowed.
func typeErrors(code string, imports types.Importer) (errs []error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "block.go", code, 0)
	if err != nil {
		return []error{err}
	}
	config := types.Config{Importer: imports, Error: func(err error) {
		if e, ok := err.(types.Error); !ok || !e.Soft {
			errs = append(errs, err)
		}
	}}
	_, _ = config.Check("block", set, []*ast.File{file}, nil) // errors went to Error
	return errs
}

// The first thing a newcomer sees does what it says.
func TestReadmeExampleRuns(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	check(t, err)
	blocks := fence.FindAllStringSubmatch(string(text), 2)
	if len(blocks) < 2 || blocks[0][1] != "go" || blocks[1][1] != "text" {
		t.Fatal("README.md does not begin with a program and its output")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	check(t, os.WriteFile(source, []byte(blocks[0][2]), 0o600))
	place, err := filepath.Abs(filepath.Join(root, "readme-example", "main.go"))
	check(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{place: source}})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	redis := lardertest.StartRedis(t)
	run := goCommand(root, "run", "-overlay", filepath.Join(dir, "overlay.json"), "./readme-example")
	run.Env = append(os.Environ(), "REDIS_URL=redis://"+redis.Addr())
	out, err := run.Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != blocks[1][2] {
		t.Errorf("the program of README.md prints\n%s\nnot\n%s", out, blocks[1][2])
	}
}

// What is said of the others is said of the versions that the benchmarks run.
func TestComparisonIsOfTheVersionsMeasured(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "comparison.md"))
	check(t, err)
	modules, err := os.ReadFile(filepath.Join(root, "bench", "go.mod"))
	check(t, err)
	head := regexp.MustCompile(`(?m)^\| \| Larder \|.*$`).FindString(string(page))
	others := regexp.MustCompile(`\| ([a-z/-]+) (\d+\.\d+\.\d+) `).FindAllStringSubmatch(head, -1)
	if len(others) < 8 {
		t.Fatalf("%d others in %q", len(others), head)
	}
	for _, m := range others {
		required := regexp.MustCompile(`(?m)^\s\S*/` + regexp.QuoteMeta(m[1]) + `(?:/\S+)? v` + regexp.QuoteMeta(m[2]) + `\b`)
		if !required.Match(modules) {
			t.Errorf("docs/comparison.md is about %s %s, which bench/go.mod does not require", m[1], m[2])
		}
	}
}
