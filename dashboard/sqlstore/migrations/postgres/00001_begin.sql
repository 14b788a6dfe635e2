-- +goose Up
-- Instants are Unix milliseconds, durations milliseconds. Texts are compared byte
-- by byte, as in SQLite, so that both databases give the same orders.
CREATE TABLE suites (
    id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL,
    description    TEXT COLLATE "C" NOT NULL,
    framework_type TEXT COLLATE "C" NOT NULL,
    config         TEXT COLLATE "C" NOT NULL,
    is_active      BOOLEAN NOT NULL,
    created_by     TEXT COLLATE "C" NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    deleted_at     BIGINT
);
CREATE UNIQUE INDEX suites_name ON suites (name) WHERE deleted_at IS NULL;

CREATE TABLE cases (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    suite_id    BIGINT NOT NULL REFERENCES suites (id),
    name        TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    test_code   TEXT COLLATE "C" NOT NULL,
    test_type   TEXT COLLATE "C" NOT NULL,
    priority    TEXT COLLATE "C" NOT NULL,
    tags        TEXT COLLATE "C" NOT NULL,
    is_active   BOOLEAN NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    deleted_at  BIGINT
);
CREATE UNIQUE INDEX cases_name ON cases (suite_id, name) WHERE deleted_at IS NULL;
CREATE INDEX cases_suite ON cases (suite_id, id) WHERE deleted_at IS NULL;
CREATE INDEX cases_type ON cases (test_type, id) WHERE deleted_at IS NULL;

CREATE TABLE executions (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    suite_id        BIGINT NOT NULL REFERENCES suites (id),
    executed_by     TEXT COLLATE "C" NOT NULL,
    execution_type  TEXT COLLATE "C" NOT NULL,
    environment     TEXT COLLATE "C" NOT NULL,
    branch          TEXT COLLATE "C" NOT NULL,
    commit_id       TEXT COLLATE "C" NOT NULL,
    run_url         TEXT COLLATE "C" NOT NULL,
    status          TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    started_at      BIGINT,
    ended_at        BIGINT,
    duration        BIGINT,
    total           BIGINT NOT NULL DEFAULT 0,
    passed          BIGINT NOT NULL DEFAULT 0,
    failed          BIGINT NOT NULL DEFAULT 0,
    skipped         BIGINT NOT NULL DEFAULT 0,
    errors          BIGINT NOT NULL DEFAULT 0,
    flaky           BIGINT NOT NULL DEFAULT 0,
    results_summary TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    heard_at        BIGINT NOT NULL
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
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id BIGINT NOT NULL REFERENCES executions (id),
    case_id      BIGINT NOT NULL REFERENCES cases (id),
    status       TEXT COLLATE "C" NOT NULL,
    rank         SMALLINT NOT NULL,
    flaky        BOOLEAN NOT NULL,
    started_at   BIGINT,
    recorded_at  BIGINT NOT NULL,
    duration     BIGINT NOT NULL,
    message      TEXT COLLATE "C" NOT NULL,
    stack        TEXT COLLATE "C" NOT NULL,
    output       TEXT COLLATE "C" NOT NULL,
    attempts     TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX results_case ON results (execution_id, case_id);
CREATE INDEX results_rank ON results (execution_id, rank, id);
CREATE INDEX results_history ON results (case_id, execution_id, status, flaky, duration);

-- What was ingested: the same content of the same run is not written twice.
CREATE TABLE ingests (
    suite_id     BIGINT NOT NULL REFERENCES suites (id),
    content_hash TEXT COLLATE "C" NOT NULL,
    run          TEXT COLLATE "C" NOT NULL,
    execution_id BIGINT NOT NULL REFERENCES executions (id),
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (suite_id, content_hash, run)
);

-- +goose Down
DROP TABLE ingests;
DROP TABLE results;
DROP TABLE executions;
DROP TABLE cases;
DROP TABLE suites;
