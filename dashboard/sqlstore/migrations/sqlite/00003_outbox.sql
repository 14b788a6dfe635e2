-- +goose Up
-- Invalidations that are written with the change they belong to.
CREATE TABLE larder_outbox (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    target   TEXT NOT NULL,
    added_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

-- +goose Down
DROP TABLE larder_outbox;
