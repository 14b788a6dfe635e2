-- +goose Up
-- All that flaky cases and top errors read of failures, so that no row is looked up.
DROP INDEX results_trouble;
CREATE INDEX results_trouble ON results (recorded_at, case_id, rank, flaky, execution_id, signature, id) WHERE rank < 2 OR flaky;

-- +goose Down
DROP INDEX results_trouble;
CREATE INDEX results_trouble ON results (recorded_at, case_id, rank, signature, id) WHERE rank < 2 OR flaky;
