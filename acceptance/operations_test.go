package acceptance

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// operations is the page that says of every error and log line what it means
// and what to do.
const operations = "docs/operations.md"

// pack is what one directory declares and says, by its path from the root.
type pack struct {
	dir, name string
	files     []*ast.File
	texts     map[string][]string // string literals in the value of each package variable
	warnings  []string            // handed to a method warn, or appended to a field warnings
}

// packs returns the packages of all modules that end up in somebody's program.
func packs(t *testing.T) []*pack {
	t.Helper()
	byDir := map[string]*pack{}
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir := strings.TrimPrefix(filepath.Dir(path), root)
		dir = strings.TrimPrefix(dir, "/")
		switch name := d.Name(); {
		case d.IsDir() && path != root && (strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "bin", "bench", "lardertest", "storetest", "browsertest", "acceptance", "scripts", "docs"}, name)):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p := byDir[dir]
		if p == nil {
			p = &pack{dir: dir, name: f.Name.Name, texts: map[string][]string{}}
			byDir[dir] = p
		}
		p.add(f)
		return nil
	})
	check(t, err)
	var list []*pack
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		list = append(list, byDir[dir])
	}
	return list
}

func (p *pack) add(f *ast.File) {
	p.files = append(p.files, f)
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i := range v.Values {
					p.texts[v.Names[i].Name] = literals(v.Values[i])
				}
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch called := call.Fun.(type) {
		case *ast.SelectorExpr:
			if called.Sel.Name == "warn" {
				p.warnings = append(p.warnings, literals(call)...)
			}
		case *ast.Ident:
			if called.Name == "append" && lastName(call.Args[0]) == "warnings" {
				p.warnings = append(p.warnings, literals(call)...)
			}
		}
		return true
	})
}

// literals returns the texts within n.
func literals(n ast.Node) (texts []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, _ := strconv.Unquote(l.Value) // the parser took it
			texts = append(texts, text)
		}
		return true
	})
	return texts
}

// errorsOf returns what callers can branch on: exported variables Err… and
// exported types with a method Error.
func (p *pack) errorsOf() (names []string) {
	for _, f := range p.files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.VAR {
						for _, n := range v.Names {
							if strings.HasPrefix(n.Name, "Err") && n.IsExported() {
								names = append(names, p.name+"."+n.Name)
							}
						}
					}
				}
			case *ast.FuncDecl:
				if d.Recv != nil && d.Name.Name == "Error" && d.Type.Params.NumFields() == 0 {
					if of, ok := strings.CutPrefix(typeText(d.Recv.List[0].Type), "*"); ok && ast.IsExported(of) {
						names = append(names, "*"+p.name+"."+of)
					}
				}
			}
		}
	}
	return names
}

func typeText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return "*" + typeText(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

// levels are the methods of a logger that say something.
var levels = map[string]int{ // the place of the message among the arguments
	"Debug": 0, "Info": 0, "Warn": 0, "Error": 0, "DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1,
}

var loggers = regexp.MustCompile(`(?i)^(s?log|logger)$`)

// line is a log line as the page has it.
type line struct{ level, text string }

func (l line) String() string { return l.level + " | " + l.text }

// lines returns what the package logs. Messages that are no literals are made of
// texts of package variables, or are the warnings of a configuration.
func (p *pack) lines(t *testing.T, warnings map[string][]string) (all []line) {
	t.Helper()
	for _, f := range p.files {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			called, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			place, ok := levels[called.Sel.Name]
			if !ok || !loggers.MatchString(lastName(called.X)) || len(call.Args) <= place {
				return true
			}
			texts := p.messages(call.Args[place], warnings[p.dir])
			if len(texts) == 0 {
				t.Errorf("%s: a log line whose text cannot be read from the code", p.dir)
			}
			level := strings.ToLower(strings.TrimSuffix(called.Sel.Name, "Context"))
			for _, text := range texts {
				all = append(all, line{level, text})
			}
			return true
		})
	}
	return all
}

func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// messages returns the texts that an expression can have.
func (p *pack) messages(e ast.Expr, warnings []string) (texts []string) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return literals(e)
	case *ast.IndexExpr:
		return p.texts[lastName(e.X)]
	case *ast.BinaryExpr:
		for _, a := range p.messages(e.X, warnings) {
			for _, b := range p.messages(e.Y, warnings) {
				texts = append(texts, a+b)
			}
		}
		return texts
	case *ast.Ident:
		return warnings
	}
	return nil
}

var (
	errorRow = regexp.MustCompile("(?m)^\\| `(\\*?[a-z]+\\.[A-Z]\\w*)` \\| \\S.* \\| \\S.* \\|$")
	logRow   = regexp.MustCompile("(?m)^\\| (debug|info|warn|error) \\| `([^`]+)` \\| \\S.* \\|$")
)

// Whoever gets an error or reads a log line finds on one page what it means and
// what to do; the page says nothing of what is not there any more.
func TestOperationsListsEveryErrorAndLogLine(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, operations))
	check(t, err)
	listed, told := map[string]bool{}, map[line]bool{}
	for _, m := range errorRow.FindAllStringSubmatch(string(text), -1) {
		listed[m[1]] = true
	}
	for _, m := range logRow.FindAllStringSubmatch(string(text), -1) {
		told[line{m[1], m[2]}] = true
	}
	all := packs(t)
	byDir := map[string]*pack{}
	for _, p := range all {
		byDir[p.dir] = p
	}
	warnings := map[string][]string{"redistier": byDir["redistier"].warnings, "dashboard/cmd/qadash": byDir["dashboard/config"].warnings}
	errorsFound, linesFound := map[string]bool{}, map[line]bool{}
	for _, p := range all {
		for _, l := range p.lines(t, warnings) {
			linesFound[l] = true
		}
		if !strings.Contains("/"+p.dir+"/", "/internal/") && p.name != "main" {
			for _, name := range p.errorsOf() {
				errorsFound[name] = true
			}
		}
	}
	if len(errorsFound) < 25 || len(linesFound) < 30 {
		t.Errorf("only %d errors and %d log lines are found in the code", len(errorsFound), len(linesFound))
	}
	compare(t, "error", errorsFound, listed)
	compare(t, "log line", linesFound, told)
}

// compare reports what only the code or only the page has.
func compare[K comparable](t *testing.T, what string, code, page map[K]bool) {
	t.Helper()
	for k := range code {
		if !page[k] {
			t.Errorf("%s has no row for the %s %v", operations, what, k)
		}
	}
	for k := range page {
		if !code[k] {
			t.Errorf("%s has a row for the %s %v, which the code does not have", operations, what, k)
		}
	}
}
