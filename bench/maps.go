package bench

import (
	"context"
	"sync"
)

// openMap is a map under a lock: no bound, no expiry, no shared loads.
func openMap[K comparable](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	var mu sync.RWMutex
	rows := make(map[K]*Row, entries)
	return func(ctx context.Context, key K) (*Row, error) {
		mu.RLock()
		row := rows[key]
		mu.RUnlock()
		if row != nil {
			return row, nil
		}
		row, err := load(ctx, key)
		if err == nil {
			mu.Lock()
			rows[key] = row
			mu.Unlock()
		}
		return row, err
	}, func() {}, nil
}

func openSyncMap[K comparable](_ int, load RowLoad[K]) (RowGet[K], func(), error) {
	var rows sync.Map
	return func(ctx context.Context, key K) (*Row, error) {
		if row, ok := rows.Load(key); ok {
			return row.(*Row), nil
		}
		row, err := load(ctx, key)
		if err == nil {
			rows.Store(key, row)
		}
		return row, err
	}, func() {}, nil
}
