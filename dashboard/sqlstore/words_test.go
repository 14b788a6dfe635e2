package sqlstore_test

import (
	"strings"
	"testing"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
)

// SQLite keeps whatever another program writes into a column of numbers. What is no
// number must not be taken for 0: the error says which column has it.
func TestANumberThatIsNoneNamesItsColumn(t *testing.T) {
	s := openFile(t, emptydb.SQLite(t), sqlstore.Options{})
	if _, err := s.Seed(t.Context(), dashboard.SeedOptions{Days: 3, Suites: 1, CasesPerSuite: 4}); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Slowest(t.Context(), 10); err != nil || len(list) == 0 {
		t.Fatalf("got %v, %v", list, err)
	}
	if _, err := s.DB().ExecContext(t.Context(), "UPDATE results SET duration = 'long' WHERE id = (SELECT max(id) FROM results WHERE rank = 5)"); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Slowest(t.Context(), 10); err == nil || !strings.Contains(err.Error(), `column duration has "long"`) {
		t.Errorf("got %v, %v", list, err)
	}
}
