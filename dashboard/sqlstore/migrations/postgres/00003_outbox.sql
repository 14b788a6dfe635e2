-- +goose Up
-- Invalidations that are written with the change they belong to.
CREATE TABLE larder_outbox (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target   TEXT NOT NULL,
    added_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE larder_outbox;
