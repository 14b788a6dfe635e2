# Two commands matter: `make run` starts the dashboard, `make test` checks everything.
# Both need Go, git and make; what else tests need, `make test` installs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Programs that scripts/install-test-deps links here win over the system's.
export PATH := $(CURDIR)/bin/tools:$(PATH)

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2
GOVULN   := golang.org/x/vuln/cmd/govulncheck@v1.1.4
READS    ?= 10000000
FUZZTIME ?= 1m
SEEDS    ?= 100000
SEED     ?=
SCALE    ?= 1
CHAOS    ?= 50s
CHAOS_READS ?= 10000000

.PHONY: help
help: ## show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## start the dashboard on http://127.0.0.1:8000 (SQLite; Redis as REDIS_* say, if there is one)
	@go run ./dashboard/cmd/qadash serve

.PHONY: build
build: ## compile qadash and larder into bin/
	@CGO_ENABLED=0 go build -trimpath -o bin/qadash ./dashboard/cmd/qadash
	@CGO_ENABLED=0 go build -trimpath -o bin/larder ./cmd/larder

.PHONY: release
release: ## static programs of VERSION (from git) for Linux and macOS into dist/, with checksums and bills of materials
	@scripts/release $(VERSION)
	@cd deploy && go test -count=1 -tags bills -run '^TestBillsOfMaterials$$' .

.PHONY: test
test: ## install what tests need, then formatting, vet and all tests under the race detector
	@scripts/test

.PHONY: deps
deps: ## install what tests need (Redis, PostgreSQL, Chromium, a C compiler) where it is missing
	@scripts/install-test-deps

.PHONY: fmt
fmt: ## format all Go files
	@gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (1m) each
	@scripts/fuzz $(FUZZTIME)

.PHONY: chaos
chaos: deps ## CHAOS (50 s) of every fault, CHAOS_READS (10 million) in all: the table in docs/chaos.md
	@LARDER_CHAOS=$(CHAOS) LARDER_CHAOS_READS=$(CHAOS_READS) LARDER_CHAOS_TABLE=$(CURDIR)/docs/chaos.md \
		go test ./lardertest -run '^TestChaos$$' -count=1 -timeout 2h -v | grep -v ' [CMSX] '

.PHONY: consistency
consistency: deps ## READS (10 million) reads against concurrent invalidations: no stale one may be found
	@LARDER_READS=$(READS) go test -count=1 -timeout 60m -v -run Consistency ./lardertest

.PHONY: simulation
simulation: ## SEEDS (100,000) random runs of the real code in virtual time; SEED replays one that failed
	@LARDER_SIM_SEED=$(SEED) LARDER_SIM_SEEDS=$(SEEDS) go test -count=1 -timeout 2h -v -run '^TestSimulation$$' .

.PHONY: model
model: ## explore the model of the contract in full, with a mutant for every rule
	@LARDER_MODEL=full go test -count=1 -timeout 60m -v ./internal/model

.PHONY: resilience
resilience: deps ## process tests in their long form: Redis stopped for 10 s, 1000 renames through HTTP
	@LARDER_LONG=1 go test -count=1 -timeout 20m -v ./acceptance
	@LARDER_LONG=1 go test -count=1 -timeout 40m -v -run 'TestTwinWithoutCache|TestTwoProcessesAgree' ./dashboard/cachedstore ./dashboard/cmd/qadash

.PHONY: outages
outages: deps ## every way in which Redis fails, with the bulkhead on and off; renders the table of docs/resilience.md
	@LARDER_LONG=1 LARDER_RENDER=1 go test -count=1 -timeout 20m -v -run 'TestOutages$$' ./acceptance

.PHONY: policies
policies: deps ## an ill source without a cache, with a TTL, with grace: 15 minutes; SCALE=10 divides all times by ten
	@LARDER_POLICIES=$(SCALE) go test -count=1 -timeout 40m -v -run TestPolicies ./acceptance

.PHONY: bench
bench: deps ## the peers and Larder in ROUNDS (3) interleaved rounds; renders docs/benchmarks.md
	@scripts/bench

.PHONY: bench-dashboard
bench-dashboard: deps ## qadash at 500 requests per second over 100,000 results; renders docs/dashboard-performance.md
	@QADASH_BENCH=$(CURDIR)/docs/dashboard-performance.md go test ./dashboard/cmd/qadash -run TestReadsAtAConstantRate -count=1 -timeout 20m
	@sed -n '/^## Targets/,$$p' docs/dashboard-performance.md

.PHONY: plans
plans: deps ## every read of both databases finds an index over PLAN_RESULTS (1 million) results; reports of 50,000 cases; prints times
	@LARDER_PLAN_RESULTS=$(or $(PLAN_RESULTS),1000000) go test ./dashboard/sqlstore -run 'TestPlansUseIndexes|TestIngestOfALargeReport|TestPostgresConforms/a_large_report' -count=1 -timeout 60m -v

.PHONY: pictures
pictures: deps ## every page in every guise as a picture in PICTURES (pictures/)
	@mkdir -p $(or $(PICTURES),pictures) && QADASH_PICTURES=$(abspath $(or $(PICTURES),pictures)) go test ./dashboard/cmd/qadash -run TestPagesInEveryGuise -count=1 -timeout 20m

.PHONY: bench-smoke
bench-smoke: ## fail if the memory hit allocates or falls behind otter's as recorded
	@scripts/bench smoke

.PHONY: bench-compare
bench-compare: deps ## benchstat of Larder's hits, misses and batches here and at REF (HEAD)
	@scripts/bench compare $(or $(REF),HEAD)

.PHONY: callgrind
callgrind: ## instructions of a memory hit and of reading a frame, counted by valgrind, into docs/benchmarks.md
	@scripts/bench callgrind

.PHONY: scale
scale: deps ## what a fleet costs one Redis: measures, simulates, renders docs/scale.md
	@raw=$$(mktemp); trap 'rm -f "$$raw"' EXIT; go test -run '^$$' -bench Costs -benchtime 50000x ./bench/scale >"$$raw"; go run ./bench/scale "$$raw" docs/scale.md

.PHONY: bench-codecs
bench-codecs: deps ## values compressed and encrypted: renders the tables of docs/codecs.md; JSON codecs as in decision 0020
	@scripts/bench stored
	@go test ./bench -run '^$$' -bench '^BenchmarkJSON' -benchmem

.PHONY: versions
versions: deps ## a struct before and after a change on one Redis for VERSIONS (1m); renders the table of docs/resilience.md
	@LARDER_VERSIONS=$(or $(VERSIONS),1m) go test ./acceptance -count=1 -v -run '^TestVersionsShareRedis$$' -timeout 30m
	@go test . -count=1 -run 'TestChangedStruct|TestTwoVersions|TestTheLastVersion|TestLoadedAside'

.PHONY: lint
lint: ## golangci-lint with .golangci.yml over every module, whose go.mod names what it needs and no more
	@status=0; for dir in $$(go list -m -f '{{.Dir}}'); do echo "lint $$dir"; \
		(cd $$dir && GOWORK=off go mod tidy -diff) || status=1; \
		(cd $$dir && go run $(GOLANGCI) run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...) || status=1; done; exit $$status

.PHONY: vuln
vuln: ## known vulnerabilities in what the modules call; needs the vulnerability database
	@status=0; for dir in $$(go list -m -f '{{.Dir}}'); do echo "vuln $$dir"; \
		(cd $$dir && go run $(GOVULN) ./...) || status=1; done; exit $$status

.PHONY: clean
clean: ## remove what make made; not the data of the dashboard
	@rm -rf bin dist
