package sqlstore_test

import (
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
)

func TestSQLiteForgetsOldInvalidations(t *testing.T) {
	s := openFile(t, emptydb.SQLite(t), sqlstore.Options{})
	forgets(t, s, "INSERT INTO larder_outbox (target, added_at) SELECT 'tag:x', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', value) FROM json_each('[\"-3 days\", \"-25 hours\", \"-1 hours\"]')")
}

// forgets holds that where nobody relays, the outbox keeps what may still matter and
// no more. The statement adds rows of three days, 25 hours and one hour of age.
func forgets(t *testing.T, s *sqlstore.Store, statement string) {
	t.Helper()
	if _, err := s.DB().ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if n, err := s.ForgetOutbox(t.Context(), 24*time.Hour); n != 2 || err != nil {
		t.Fatalf("forgot %d, %v", n, err)
	}
	if n, err := s.ForgetOutbox(t.Context(), 24*time.Hour); n != 0 || err != nil {
		t.Fatalf("then forgot %d, %v", n, err)
	}
	if n, err := s.ForgetOutbox(t.Context(), time.Minute); n != 1 || err != nil {
		t.Fatalf("at last forgot %d, %v", n, err)
	}
}
