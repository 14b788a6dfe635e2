-- +goose Up
-- Instants are Unix milliseconds, durations milliseconds. AUTOINCREMENT: an id
-- that was deleted must not come back under a key that somebody still caches.
CREATE TABLE suites (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL,
    description    TEXT    NOT NULL,
    framework_type TEXT    NOT NULL,
    config         TEXT    NOT NULL,
    is_active      INTEGER NOT NULL,
    created_by     TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    deleted_at     INTEGER
);
CREATE UNIQUE INDEX suites_name ON suites (name) WHERE deleted_at IS NULL;

CREATE TABLE cases (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    suite_id    INTEGER NOT NULL REFERENCES suites (id),
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    test_code   TEXT    NOT NULL,
    test_type   TEXT    NOT NULL,
    priority    TEXT    NOT NULL,
    tags        TEXT    NOT NULL,
    is_active   INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    deleted_at  INTEGER
);
CREATE UNIQUE INDEX cases_name ON cases (suite_id, name) WHERE deleted_at IS NULL;
CREATE INDEX cases_suite ON cases (suite_id, id) WHERE deleted_at IS NULL;
CREATE INDEX cases_type ON cases (test_type, id) WHERE deleted_at IS NULL;

CREATE TABLE executions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    suite_id        INTEGER NOT NULL REFERENCES suites (id),
    executed_by     TEXT    NOT NULL,
    execution_type  TEXT    NOT NULL,
    environment     TEXT    NOT NULL,
    branch          TEXT    NOT NULL,
    commit_id       TEXT    NOT NULL,
    run_url         TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    ended_at        INTEGER,
    duration        INTEGER,
    total           INTEGER NOT NULL DEFAULT 0,
    passed          INTEGER NOT NULL DEFAULT 0,
    failed          INTEGER NOT NULL DEFAULT 0,
    skipped         INTEGER NOT NULL DEFAULT 0,
    errors          INTEGER NOT NULL DEFAULT 0,
    flaky           INTEGER NOT NULL DEFAULT 0,
    results_summary TEXT    NOT NULL DEFAULT '{}',
    heard_at        INTEGER NOT NULL
);
CREATE INDEX executions_stats ON executions (status, duration);
CREATE INDEX executions_status ON executions (status, id);
CREATE INDEX executions_suite ON executions (suite_id, id);
CREATE INDEX executions_suite_status ON executions (suite_id, status, id);
CREATE INDEX executions_branch ON executions (suite_id, branch, id, status);
CREATE INDEX executions_created ON executions (created_at);
CREATE INDEX executions_ended ON executions (ended_at, status, duration, suite_id);
CREATE INDEX executions_heard ON executions (heard_at) WHERE status IN ('pending', 'running');

CREATE TABLE results (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    case_id      INTEGER NOT NULL REFERENCES cases (id),
    status       TEXT    NOT NULL,
    rank         INTEGER NOT NULL,
    flaky        INTEGER NOT NULL,
    started_at   INTEGER,
    recorded_at  INTEGER NOT NULL,
    duration     INTEGER NOT NULL,
    message      TEXT    NOT NULL,
    stack        TEXT    NOT NULL,
    output       TEXT    NOT NULL,
    attempts     TEXT    NOT NULL
);
CREATE UNIQUE INDEX results_case ON results (execution_id, case_id);
CREATE INDEX results_rank ON results (execution_id, rank, id);
CREATE INDEX results_history ON results (case_id, execution_id, status, flaky, duration);

-- What was ingested: the same content of the same run is not written twice.
CREATE TABLE ingests (
    suite_id     INTEGER NOT NULL REFERENCES suites (id),
    content_hash TEXT    NOT NULL,
    run          TEXT    NOT NULL,
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (suite_id, content_hash, run)
);

-- +goose Down
DROP TABLE ingests;
DROP TABLE results;
DROP TABLE executions;
DROP TABLE cases;
DROP TABLE suites;
