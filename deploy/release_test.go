package deploy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestMain removes what the tests built for each other.
func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

const (
	releaseVersion = "v1.2.3-rc.1"
	releaseName    = "larder_1.2.3-rc.1_" + runtime.GOOS + "_" + runtime.GOARCH
)

var built string // by buildRelease

// buildRelease runs scripts/release for this machine alone, once for all tests, and
// returns the directory with its result.
var buildRelease = sync.OnceValues(func() (string, error) {
	var err error
	if built, err = os.MkdirTemp("", "larder-release-"); err != nil {
		return "", err
	}
	dist := filepath.Join(built, "dist")
	return dist, runRelease(dist, releaseVersion)
})

func runRelease(dist, version string) error {
	cmd := exec.Command("../scripts/release", version)
	cmd.Env = append(os.Environ(), "DIST="+dist, "PLATFORMS="+runtime.GOOS+"/"+runtime.GOARCH, "BILLS=no", "SOURCE_DATE_EPOCH=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func release(t *testing.T) string {
	t.Helper()
	dist, err := buildRelease()
	if err != nil {
		t.Fatal(err)
	}
	return dist
}

// unpack puts the programs of the release into a new directory, and holds what
// the archive has beside them.
func unpack(t *testing.T) (dir string) {
	t.Helper()
	file, err := os.Open(filepath.Join(release(t), releaseName+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	inflated, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	var names []string
	for r := tar.NewReader(inflated); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		name, ok := strings.CutPrefix(h.Name, releaseName+"/")
		if !ok || h.Uid != 0 || h.Gid != 0 || h.Uname+h.Gname != "" {
			t.Errorf("%s belongs to %d:%d %s:%s", h.Name, h.Uid, h.Gid, h.Uname, h.Gname)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, h.FileInfo().Mode()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{releaseName + "/", releaseName + "/LICENSE", releaseName + "/README.md", releaseName + "/larder", releaseName + "/qadash"}
	if !slices.Equal(names, want) {
		t.Errorf("the archive has %q, want %q", names, want)
	}
	return dir
}

// TestReleaseIsWhole: every file of a release has its checksum and nothing else
// has.
func TestReleaseIsWhole(t *testing.T) {
	dist := release(t)
	list, err := os.ReadDir(dist)
	if err != nil {
		t.Fatal(err)
	}
	var sums strings.Builder
	for _, file := range list {
		if file.Name() == "SHA256SUMS" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dist, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum[:]), file.Name())
	}
	told, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if sorted(string(told)) != sorted(sums.String()) || err != nil || len(list) != 2 {
		t.Errorf("checksums\n%s, the %d files have\n%s%v", told, len(list), sums.String(), err)
	}
}

func sorted(lines string) string {
	list := strings.SplitAfter(lines, "\n")
	slices.Sort(list)
	return strings.Join(list, "")
}

// TestReleasedPrograms run anywhere, say their version, and do not say where they
// were built.
func TestReleasedPrograms(t *testing.T) {
	dir := unpack(t)
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"larder", "qadash"} {
		program := filepath.Join(dir, name)
		said, err := exec.Command(program, "version").CombinedOutput()
		if err != nil || !strings.Contains(string(said), releaseVersion) {
			t.Errorf("%s says %q, %v", name, said, err)
		}
		text, err := os.ReadFile(program)
		if err != nil || bytes.Contains(text, []byte(here+"/")) {
			t.Errorf("%s names %s, %v", name, here, err)
		}
		if runtime.GOOS == "linux" {
			isStatic(t, program)
		}
	}
}

func isStatic(t *testing.T, program string) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, _ := f.ImportedLibraries()
	if loader := f.Section(".interp"); loader != nil || len(libraries) > 0 {
		t.Errorf("%s is not static: %v, %q", program, loader, libraries)
	}
}

// TestReleasesAreReproducible: whoever doubts a release builds it once more and
// compares.
func TestReleasesAreReproducible(t *testing.T) {
	again := filepath.Join(t.TempDir(), "dist")
	if err := runRelease(again, releaseVersion); err != nil {
		t.Fatal(err)
	}
	first, err1 := os.ReadFile(filepath.Join(release(t), "SHA256SUMS"))
	second, err2 := os.ReadFile(filepath.Join(again, "SHA256SUMS"))
	if err := errors.Join(err1, err2); err != nil || !bytes.Equal(first, second) {
		t.Errorf("%v\n%s%s", err, first, second)
	}
}

// TestReleasesAreRefused: for a version that is none, and over what is there.
func TestReleasesAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ dist, version, text string }{
		"version":   {filepath.Join(t.TempDir(), "dist"), "v1/../..", "is no version"},
		"directory": {t.TempDir(), releaseVersion, "is there already"},
	} {
		if err := runRelease(c.dist, c.version); err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "exit status 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
