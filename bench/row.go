package bench

import (
	"context"
	"strconv"
	"time"
)

// Row is what memory tiers hold: 200 bytes behind a pointer.
type Row struct {
	ID   int64
	Data [rowSize - 8]byte
}

const rowSize = 200

// RowLoad loads a row.
type RowLoad[K comparable] func(ctx context.Context, key K) (*Row, error)

// RowGet reads a row through a cache.
type RowGet[K comparable] func(ctx context.Context, key K) (*Row, error)

// MemoryOpen makes a cache in this process for that many rows.
type MemoryOpen[K comparable] func(entries int, load RowLoad[K]) (get RowGet[K], closeCache func(), err error)

// Memory is a cache in this process.
type Memory[K comparable] struct {
	Name string
	Open MemoryOpen[K]
}

// Memories returns the caches in this process. Those with a loader and an
// expiry do what Larder does; "map", "sync.Map" and "otter-no-expiry" do less
// and are limits.
func Memories[K interface{ int64 | string }](addr string) []Memory[K] {
	return []Memory[K]{
		{"larder", larderBoth[K](addr)},
		{"larder-memory", larderMemory[K]},
		{"otter", openOtter[K]},
		{"otter-no-expiry", openOtterNoExpiry[K]},
		{"theine", openTheine[K]},
		{"ristretto", openRistretto[K]},
		{"golang-lru", openLRU[K]},
		{"hot", openHot[K]},
		{"sturdyc", openSturdycRows[K]},
		{"gocache", openGocacheRows[K]},
		{"go-redis-cache", openGoRedisCacheRows[K]},
		{"jetcache", openJetcacheRows[K]},
		{"sync.Map", openSyncMap[K]},
		{"map", openMap[K]},
	}
}

// text returns the key as the string that caches of string keys need, built
// on every call as a service would have to.
func text[K interface{ int64 | string }](key K) string {
	switch key := any(key).(type) {
	case int64:
		return "row:" + strconv.FormatInt(key, 10)
	case string:
		return key
	}
	panic("unreachable")
}

// Doc is what is decoded from Redis: 580 bytes as JSON.
type Doc struct {
	ID       int64     `json:"id"`
	Name     string    `json:"name"`
	Owner    string    `json:"owner"`
	Summary  string    `json:"summary"`
	Status   string    `json:"status"`
	Tags     []string  `json:"tags"`
	Passed   int       `json:"passed"`
	Failed   int       `json:"failed"`
	Duration float64   `json:"duration"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

// DocGet reads a document through a cache that keeps it in Redis alone.
type DocGet func(ctx context.Context, id int64) (*Doc, error)

// DocCaches decode what they find in Redis.
var DocCaches = []struct {
	Name string
	Open func(addr string) (DocGet, func(), error)
}{
	{"larder", openLarderDocs},
	{"go-redis-cache", openGoRedisCacheDocs},
	{"jetcache", openJetcacheDocs("msgpack")},
	{"jetcache-sonic", openJetcacheDocs("sonic")},
	{"gocache", openGocacheDocs},
	{"rueidis-json", openRueidisDocs},
}

func newDoc(id int64) *Doc {
	created := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	return &Doc{
		ID: 100000 + id, Name: "checkout: pays with a stored card and a voucher of a closed account",
		Owner: "payments-team@example.org", Status: "failed", Passed: 1841, Failed: 7, Duration: 183.25,
		Summary: "The voucher is refused with a message that names the reason, the order stays open, the card is not charged, " +
			"and a second attempt without the voucher succeeds. Runs against the staging ledger every night and on each release of the shop.",
		Tags: []string{"payments", "voucher", "nightly", "release", "ledger"}, Created: created, Updated: created.Add(26 * time.Hour),
	}
}
