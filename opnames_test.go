package larder

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// Every operation of the protocol has a name of its own in [Stats.Remote], so
// none is counted as "other".
func TestEveryOperationHasAName(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "remote.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, d := range file.Decls {
		block, ok := d.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		if first, ok := block.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident); !ok || first.Name != "OpKind" {
			continue
		}
		for _, spec := range block.Specs {
			kinds = append(kinds, spec.(*ast.ValueSpec).Names[0].Name)
		}
	}
	if len(kinds) != int(OpRanks)+1 || len(kinds) > int(opDeleteMatching) {
		t.Fatalf("remote.go has %d kinds, the last known is number %d", len(kinds), OpRanks)
	}
	seen := map[string]string{}
	for kind, constant := range kinds {
		name := opNames[kind]
		if name == "" || seen[name] != "" {
			t.Errorf("%s is called %q, as is %q", constant, name, seen[name])
		}
		seen[name] = constant
	}
}
