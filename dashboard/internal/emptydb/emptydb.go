// Package emptydb gives each test a database of its own at the cost of a copy:
// creating its schema takes forty times as long as opening it.
package emptydb

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/larder-go/larder/dashboard/sqlstore"
)

// made is an SQLite database that has the schema and nothing else.
var made = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "qadash-empty-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "qa.db")
	s, err := sqlstore.Open(context.Background(), path, sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// SQLite returns the path of an empty database that ends with the test.
func SQLite(t testing.TB) (path string) {
	t.Helper()
	data, err := made()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "qa.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
