package sqlstore

import (
	"fmt"

	"github.com/larder-go/larder/dashboard"
)

// demoSuite describes one suite of the demo data.
type demoSuite struct {
	name, description, framework, environment, waits string
	kind                                             dashboard.TestType
	// millis is the typical duration of a case.
	millis int64
	// skipped is the case that is always skipped, broken the one that fails from
	// one day of the demo until another.
	skipped, broken, from, until int
	subjects, verbs              []string
}

var demoBranches = []string{"feat/cart-drawer", "fix/rounding", "renovate/all", "feat/passkeys"}

var demoSuites = []demoSuite{
	{name: "checkout-api", description: "Orders, payments and refunds over HTTP", framework: "pytest", environment: "staging", waits: "POST /payments", kind: "api", millis: 900, skipped: 5, broken: 2, from: 27, until: 99,
		subjects: []string{"refund", "payment", "voucher", "order"}, verbs: []string{"is idempotent under retry", "rejects a stale version", "rounds half to even", "keeps the audit trail", "survives a timeout", "returns a problem document"}},
	{name: "storefront-web", description: "The shop in three browsers", framework: "playwright", environment: "staging", waits: "locator('.cart-drawer')", kind: "ui", millis: 4200, skipped: 9, broken: 7, from: 12, until: 15,
		subjects: []string{"cart drawer", "search", "checkout", "product page"}, verbs: []string{"keeps items after login", "restores the scroll position", "shows the voucher field", "works by keyboard", "fits a narrow screen", "speaks to screen readers"}},
	{name: "pricing-core", description: "Price rules, discounts and taxes", framework: "go test", environment: "ci", waits: "the rule compiler", kind: "unit", millis: 40, skipped: -1, broken: 4, from: 8, until: 9,
		subjects: []string{"TestDiscount", "TestTax", "TestBundle", "TestCurrency"}, verbs: []string{"StacksInOrder", "NeverBelowZero", "RoundsPerLine", "HonoursValidity", "HandlesLeapDay", "RejectsUnknownCode"}},
	{name: "ledger-db", description: "Migrations, constraints and postings", framework: "pytest", environment: "staging", waits: "lock on ledger.postings", kind: "db", millis: 2600, skipped: 1, broken: 10, from: 18, until: 21,
		subjects: []string{"posting", "month close", "migration", "export"}, verbs: []string{"balances under concurrency", "is reversible", "keeps the sequence gapless", "uses the index", "runs within its budget", "refuses a closed period"}},
	{name: "notify-api", description: "Mail, push and webhooks", framework: "go test", environment: "staging", waits: "the webhook receiver", kind: "api", millis: 350, skipped: 20, broken: 6, from: 3, until: 5,
		subjects: []string{"digest", "webhook", "push token", "mail template"}, verbs: []string{"is sent once", "respects quiet hours", "retries with backoff", "escapes names", "expires", "signs its body"}},
	{name: "auth-security", description: "Sign-in, sessions and permissions", framework: "pytest", environment: "staging", waits: "the key set", kind: "security", millis: 1100, skipped: 8, broken: 11, from: 22, until: 24,
		subjects: []string{"session", "passkey", "scope", "key rotation"}, verbs: []string{"ends at logout", "rejects a foreign origin", "is not widened by refresh", "survives a restart", "is rate limited", "leaves an audit entry"}},
	{name: "courier-app", description: "The couriers' app on emulators", framework: "maestro", environment: "emulator", waits: "the first frame", kind: "mobile", millis: 7800, skipped: 2, broken: 13, from: 26, until: 99,
		subjects: []string{"login", "parcel list", "map", "proof of delivery"}, verbs: []string{"falls back to PIN", "works offline", "survives rotation", "scans in the dark", "syncs after a tunnel", "shows the next stop"}},
	{name: "search-load", description: "Load on search, nightly", framework: "k6", environment: "perf", waits: "p99 to settle", kind: "performance", millis: 16000, skipped: -1, broken: 0, from: 15, until: 16,
		subjects: []string{"soak", "reindex", "autocomplete", "facets"}, verbs: []string{"holds 2,000 rps", "keeps p99 in budget", "does not leak", "recovers from a node loss", "warms in a minute", "sheds load"}},
}

// caseName gives case i a name that no other case of the suite has.
func (d demoSuite) caseName(i int) string {
	subject, verb := d.subjects[i%len(d.subjects)], d.verbs[i/len(d.subjects)%len(d.verbs)]
	separator := " › "
	if d.kind == "unit" {
		separator = "/"
	}
	name := subject + separator + verb
	if round := i / (len(d.subjects) * len(d.verbs)); round > 0 {
		name = fmt.Sprintf("%s (%d)", name, round+1)
	}
	return name
}

func (d demoSuite) message(i int) string {
	switch d.kind {
	case "api", "security":
		return fmt.Sprintf("AssertionError: assert 500 == 409 in %s", d.caseName(i))
	case "ui", "mobile":
		return "TimeoutError: locator.click: Timeout 30000ms exceeded"
	case "db":
		return "DeadlockDetected: deadlock detected"
	case "performance":
		return "p99 of 412 ms is over the budget of 350 ms"
	}
	return "got 19.99, want 20.00"
}

func (d demoSuite) stack(i int, message string) string {
	return fmt.Sprintf("%s\n    at %s (%s/case_%02d:%d)\n    at runner (%s/run:88)", message, d.caseName(i), d.name, i, 40+i*3, d.name)
}
