-- +goose Up
-- What the messages of one fault have in common; empty unless failed or error.
ALTER TABLE results ADD COLUMN signature TEXT COLLATE "C" NOT NULL DEFAULT '';
-- Failures and flaky passes of the last days.
CREATE INDEX results_trouble ON results (recorded_at, case_id, rank, signature, id) WHERE rank < 2 OR flaky;
-- Durations of the last days.
CREATE INDEX results_durations ON results (recorded_at, rank, case_id, duration, execution_id);
CREATE INDEX executions_commit ON executions (commit_id, id);

CREATE TABLE tokens (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL,
    scope        TEXT COLLATE "C" NOT NULL,
    hash         TEXT COLLATE "C" NOT NULL,
    hint         TEXT COLLATE "C" NOT NULL,
    created_by   TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE audits (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     BIGINT NOT NULL,
    actor  TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL
);

CREATE TABLE webhooks (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url        TEXT COLLATE "C" NOT NULL,
    secret     TEXT COLLATE "C" NOT NULL,
    branch     TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

-- due_at is NULL once a delivery is done or given up.
CREATE TABLE deliveries (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id   BIGINT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event        TEXT COLLATE "C" NOT NULL,
    execution_id BIGINT NOT NULL REFERENCES executions (id),
    previous_id  BIGINT NOT NULL,
    tries        BIGINT NOT NULL DEFAULT 0,
    reason       TEXT COLLATE "C" NOT NULL DEFAULT '',
    created_at   BIGINT NOT NULL,
    due_at       BIGINT,
    done_at      BIGINT
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
