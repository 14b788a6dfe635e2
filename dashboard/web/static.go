package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var embedded embed.FS

// assets serves the embedded files under addresses that carry a hash of the
// content, so that a browser may keep them for ever.
type assets struct {
	files  map[string][]byte
	hashes map[string]string
}

func newAssets() (*assets, error) {
	a := &assets{files: map[string][]byte{}, hashes: map[string]string{}}
	err := fs.WalkDir(embedded, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		hash := sha256.Sum256(data)
		name = strings.TrimPrefix(name, "static/")
		a.files[name], a.hashes[name] = data, hex.EncodeToString(hash[:6])
		return nil
	})
	return a, err
}

// address is the template function "asset". An unknown name is an error of the
// template, found by its first test.
func (a *assets) address(name string) (string, error) {
	hash, ok := a.hashes[name]
	if !ok {
		return "", &fs.PathError{Op: "asset", Path: name, Err: fs.ErrNotExist}
	}
	return "/static/" + name + "?v=" + hash, nil
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	data, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	header.Set("ETag", `"`+a.hashes[name]+`"`)
	if r.URL.Query().Get("v") == a.hashes[name] {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache")
	}
	if r.Header.Get("If-None-Match") == `"`+a.hashes[name]+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(data)
}
