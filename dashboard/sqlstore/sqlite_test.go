package sqlstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/dashboard/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openSQLite(t *testing.T, clock *storetest.Clock) dashboard.Store {
	t.Helper()
	empty := emptydb.SQLite(t)
	odd := filepath.Join(filepath.Dir(empty), "qa dash?#.db")
	if err := os.Rename(empty, odd); err != nil {
		t.Fatal(err)
	}
	return openFile(t, odd, sqlstore.Options{Now: clock.Now})
}

func openFile(t testing.TB, path string, options sqlstore.Options) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLiteConforms(t *testing.T) { storetest.Run(t, openSQLite) }

func TestSQLiteAdminConforms(t *testing.T) {
	storetest.RunAdmin(t, func(t *testing.T, clock *storetest.Clock) storetest.AdminStore {
		return openFile(t, emptydb.SQLite(t), sqlstore.Options{Now: clock.Now})
	})
}

func TestSQLiteMigratesBothWays(t *testing.T) {
	migrateBothWays(t, filepath.Join(t.TempDir(), "qa.db"))
}
