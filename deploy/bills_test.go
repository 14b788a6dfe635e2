//go:build bills

package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestBillsOfMaterials: of a release in dist/, each names its program and what that
// is made of. `make release` runs it.
func TestBillsOfMaterials(t *testing.T) {
	for name, c := range map[string]struct{ has, lacks string }{
		"larder": {"github.com/spf13/cobra", "modernc.org/sqlite"},
		"qadash": {"modernc.org/sqlite", "github.com/spf13/cobra"},
	} {
		text, err := os.ReadFile(filepath.Join("../dist", name+".cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		var bill struct {
			Format     string `json:"bomFormat"`
			Components []struct{ Name, Version string }
		}
		if err := json.Unmarshal(text, &bill); err != nil || bill.Format != "CycloneDX" {
			t.Errorf("%s: format %q, %v", name, bill.Format, err)
		}
		versions := map[string]string{}
		for _, part := range bill.Components {
			versions[part.Name] = part.Version
		}
		if versions["github.com/redis/rueidis"] == "" || versions[c.has] == "" || versions[c.lacks] != "" {
			t.Errorf("%s is made of %v", name, versions)
		}
	}
}
