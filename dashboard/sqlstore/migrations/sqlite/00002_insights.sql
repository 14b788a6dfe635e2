-- +goose Up
-- What the messages of one fault have in common; empty unless failed or error.
ALTER TABLE results ADD COLUMN signature TEXT NOT NULL DEFAULT '';
-- Failures and flaky passes of the last days.
CREATE INDEX results_trouble ON results (recorded_at, case_id, rank, signature, id) WHERE rank < 2 OR flaky;
-- Durations of the last days.
CREATE INDEX results_durations ON results (recorded_at, rank, case_id, duration, execution_id);
CREATE INDEX executions_commit ON executions (commit_id, id);

CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    scope        TEXT    NOT NULL,
    hash         TEXT    NOT NULL,
    hint         TEXT    NOT NULL,
    created_by   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE audits (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    action TEXT    NOT NULL,
    target TEXT    NOT NULL,
    detail TEXT    NOT NULL
);

CREATE TABLE webhooks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    url        TEXT    NOT NULL,
    secret     TEXT    NOT NULL,
    branch     TEXT    NOT NULL,
    created_by TEXT    NOT NULL,
    created_at INTEGER NOT NULL
);

-- due_at is NULL once a delivery is done or given up.
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id   INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event        TEXT    NOT NULL,
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    previous_id  INTEGER NOT NULL,
    tries        INTEGER NOT NULL DEFAULT 0,
    reason       TEXT    NOT NULL DEFAULT '',
    created_at   INTEGER NOT NULL,
    due_at       INTEGER,
    done_at      INTEGER
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_webhook ON deliveries (webhook_id);

-- +goose Down
DROP TABLE deliveries;
DROP TABLE webhooks;
DROP TABLE audits;
DROP TABLE tokens;
DROP INDEX executions_commit;
DROP INDEX results_durations;
DROP INDEX results_trouble;
ALTER TABLE results DROP COLUMN signature;
