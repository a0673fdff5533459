# Daybook. `make` alone lists the targets. Everything works in a fresh clone
# with Go and npm; what is missing is named together with its remedy.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO            ?= go
NPM           ?= npm
GO_MIN        := 1.26
# Tools live in the clone, not in the user's GOPATH: two projects may pin
# different versions.
TOOLS         := $(CURDIR)/.tools/bin
LINT_VERSION  := v2.15.0
LINT          := $(TOOLS)/golangci-lint-$(LINT_VERSION)
VULN_VERSION  := v1.5.0
VULN          := $(TOOLS)/govulncheck-$(VULN_VERSION)
STAT_VERSION  := v0.0.0-20260908200009-22c9c6c9d4da
STAT          := $(TOOLS)/benchstat-$(STAT_VERSION)

# `daybook version` tells the commit, where git can tell it to the build.
BUILDVCS      := $(shell git status >/dev/null 2>&1 && echo auto || echo false)
ENGINE        := clickhouse/engine
# npm packages that only tests need: one folder a lock file.
NPM_TESTS     := $(shell find cmd pipeline clickhouse schemas -path '*/testdata/*' -name package-lock.json -not -path '*/node_modules/*' -printf '%h\n' 2>/dev/null)
CHROMIUM      := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome || true)

# Arguments that a caller may give.
DATA          ?= .daybook
TESTFLAGS     ?=
BENCHTIME     ?= 1s
BENCHFLAGS    ?=
ROUNDS        ?= 10
EACH          ?= 0.5s
MARGIN        ?= 10
MINUTES       ?= 60
KILLS         ?= 25
POINTS        ?=
KAFKA         ?= 0
SEED          ?= 0
RATE          ?= 1500
SOAKFLAGS     ?=
PKG           ?= ./...
PAIRS         ?= 20000
SEED          ?= 1
SHORT         ?=
PEERSFLAGS    ?=
comma         := ,

export CGO_ENABLED ?= 0

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: need-go engine ## make bin/daybook, fetching the engine if it is missing
	@$(GO) build -trimpath -buildvcs=$(BUILDVCS) -ldflags '-s -w' -o bin/daybook ./cmd/daybook
	@echo "built bin/daybook"

.PHONY: engine
engine: $(ENGINE)/node_modules/.package-lock.json ## fetch the embedded ClickHouse engine (npm)

# --ignore-scripts: the packages bring a library, nothing of theirs is run.
$(ENGINE)/node_modules/.package-lock.json: $(ENGINE)/package-lock.json | need-npm
	@test ! -L $(ENGINE)/node_modules || { echo "$(ENGINE)/node_modules is a link, and npm would empty what it leads to. Remedy: touch $@ if the engine there is the right one, else remove the link"; exit 1; }
	@echo "fetching the embedded engine (about 550 MB on disk, once)"
	@cd $(ENGINE) && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: npm-tests
npm-tests: $(NPM_TESTS:%=%/node_modules/.package-lock.json)

%/node_modules/.package-lock.json: %/package-lock.json | need-npm
	@cd $* && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Apache Kafka, which only tests use. The stamp follows pom.xml, so another
# version replaces all jars of the one before.
KAFKA_POM     := pipeline/broker/apache/pom.xml
JAVA_MIN      := 17

.PHONY: kafka
kafka: .kafka/.fetched ## fetch Apache Kafka for the tests (needs Maven and Java)

.kafka/.fetched: $(KAFKA_POM) | need-java
	@command -v mvn >/dev/null || { echo "missing: mvn, which fetches Apache Kafka. Remedy: install Maven (Debian: apt-get install maven)"; exit 1; }
	@echo "fetching Apache Kafka (about 45 MB, once)"
	@rm -rf .kafka && mkdir -p .kafka
	@mvn -q -B -Dstyle.color=never -f $(KAFKA_POM) dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory='$(CURDIR)/.kafka/jars'
	@touch $@

.PHONY: run
run: build ## start everything on this machine with a sample log
	@bin/daybook dev --data $(DATA) --sample cmd/daybook/testdata/sample/apache_logs.gz

.PHONY: test
test: need-go engine npm-tests ## run the whole suite (at most 10 minutes on two cores)
	@$(MAKE) browser-note
	@DAYBOOK_REQUIRE_ENGINE=1 $(GO) test -timeout 10m $(TESTFLAGS) $(PKG)
	@$(MAKE) browser-note

# go test hides what a passing package prints, so the note is made here. With
# REQUIRE_CHROMIUM set (.ci/run) a missing browser is a failure.
.PHONY: browser-note
browser-note:
	@:
ifeq ($(CHROMIUM),)
	@echo "browser tests not run: chromium missing"
	@echo "  remedy: install chromium (Debian: apt-get install chromium) and run make test again"
	@test -z "$${REQUIRE_CHROMIUM:-}"
endif

# Everything that takes a broker, on one node of Apache Kafka; then what joins,
# leaves, commits and fails over, on three. Two packages at a time: some tests
# measure seconds.
KAFKA_TEST    := $(GO) test -p 2 -count=1 -timeout 8m $(TESTFLAGS)
KAFKA_CLIENTS := ./pipeline ./pipeline/source ./cmd/daybook/e2e

.PHONY: test-kafka
test-kafka: need-go engine kafka ## run the suites that take a broker on Apache Kafka, one node and three
	@DAYBOOK_REQUIRE_ENGINE=1 DAYBOOK_TEST_KAFKA=1 $(KAFKA_TEST) -run '^Test(Worker|Client|Group|Generation|Producer|Kill|BadInput|Sample|Growth)_' $(KAFKA_CLIENTS)
	@DAYBOOK_REQUIRE_ENGINE=1 DAYBOOK_TEST_KAFKA=3 $(KAFKA_TEST) -run '^TestWorker_(Rebalance|ComeAndGo|Short|Survives|Accounts)|^Test(Group|Generation|Cluster|Start)_|^TestKill_Partitions' $(KAFKA_CLIENTS) ./pipeline/broker/apache

# The race detector needs a C compiler; the suite and the program do not.
.PHONY: race
race: need-go engine npm-tests ## run the write side, storage and API under the race detector (needs a C compiler)
	@CGO_ENABLED=1 $(GO) test -race -timeout 10m $(TESTFLAGS) ./pipeline/simtest -sim.n 200
	@DAYBOOK_REQUIRE_ENGINE=1 CGO_ENABLED=1 $(GO) test -race -timeout 10m $(TESTFLAGS) $$($(GO) list ./pipeline/... | grep -v /simtest) ./clickhouse ./clickhouse/readapi ./cmd/daybook

.PHONY: sim
sim: need-go ## run pairs of traffic and plan through the simulator; PAIRS=100000 SEED=1
	@$(GO) test ./pipeline/simtest -count=1 -timeout 2h -v -run '^TestSimulator$$' -sim.n $(PAIRS) -sim.seed $(SEED)

.PHONY: check
check: fmt-check vet lint arrows vuln ## format, vet, lint, import arrows, modules, known vulnerabilities
	@$(GO) mod verify
	@$(GO) mod tidy -diff
	@echo "check: ok"

.PHONY: fmt
fmt: $(LINT) ## format the code
	@$(LINT) fmt

.PHONY: fmt-check
fmt-check: $(LINT)
	@$(LINT) fmt --diff

.PHONY: vet
vet: need-go
	@$(GO) vet ./...

.PHONY: lint
lint: $(LINT) ## run golangci-lint
	@$(LINT) run --timeout 10m

.PHONY: arrows
arrows: $(LINT) ## prove that the import rules fire
	@.ci/arrows $(LINT)

.PHONY: vuln
vuln: need-go ## look for known vulnerabilities, if their database can be reached
	@.ci/vuln $(VULN) $(VULN_VERSION)

# make test does each step once by SIGKILL, and 5 random SIGKILLs.
.PHONY: kills
kills: need-go engine ## random SIGKILLs, KILLS=25; POINTS=all: every step, killed, paused and failed, three times each
	@DAYBOOK_REQUIRE_ENGINE=1 $(GO) test ./cmd/daybook/e2e -run '^(TestKills$(if $(POINTS),|TestPoints))' -count=1 -v -timeout 60m \
	  -kills $(KILLS) $(if $(POINTS),-points.all)

# What the last run left stays in .soak/: report, the parts' logs, all their
# data. A failed one can be looked at.
.PHONY: soak
soak: need-go engine ## the kill loop, MINUTES=60; on Apache Kafka with KAFKA=3; SEED=… RATE=… repeat one
	@rm -rf .soak/site && mkdir -p .soak
	@$(GO) test ./cmd/daybook/e2e -run '^TestSoak$$' -count=1 -v -timeout $$(( $(MINUTES) + 60 ))m \
	  -soak $(MINUTES)m -soak.kafka $(KAFKA) -soak.seed $(SEED) -soak.rate $(RATE) -soak.report $(CURDIR)/.soak/report.md \
	  -soak.dir $(CURDIR)/.soak/site $(SOAKFLAGS)

.PHONY: bench
bench: need-go engine ## measure decode, stages, end to end, next to the engine's own ingest
	@.ci/bench $(BENCHTIME)

# Go lays the program out by this profile wherever it is built; a stale one costs
# speed, nothing else. Made anew after a change of the hot path.
.PHONY: pgo
pgo: need-go ## make cmd/daybook/default.pgo, the profile that the compiler builds by
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && $(GO) test ./cmd/daybook -trimpath -run '^$$' -bench '^BenchmarkChain$$' \
	  -benchtime 3s -o "$$dir/chain.test" -cpuprofile "$$dir/cpu" && mv "$$dir/cpu" cmd/daybook/default.pgo

# The store is kept in .bench for the next run: 100 million events take about
# 8 GB there, and a quarter of an hour to make.
DAYS          ?= 10000000
EVENTS        ?= 100000000
READSFLAGS    ?=

.PHONY: bench-reads
bench-reads: need-go engine ## measure the read API, CSV and cookbook at scale, DAYS=10000000 EVENTS=100000000
	@mkdir -p .bench
	@$(GO) test ./cmd/daybook/e2e -run '^$$' -bench '^BenchmarkReads$$' -benchtime 1x -timeout 3h \
	  -reads.dir $(CURDIR)/.bench -reads.days $(DAYS) -reads.events $(EVENTS) $(READSFLAGS)

# The systems that Daybook is measured beside: fetched by Maven, compiled here.
# Flink and Kafka Streams lie apart, because each brings its own RocksDB.
PEERS_JAVA    := pipeline/peers/java
PEERS_FLAGS   := $(if $(SHORT),-peers.events 1000000 -peers.partitions 1$(comma)4,-peers.events 5000000 -peers.partitions 1$(comma)2$(comma)4)

.PHONY: peers
peers: need-go engine kafka peers-jars ## measure Daybook beside Flink, Kafka Streams and ClickHouse alone, SHORT=1; PEERSFLAGS=…
	@$(MAKE) test-peers
	@$(GO) test ./pipeline/peers -run '^TestPeers$$' -count=1 -v -timeout 6h $(PEERS_FLAGS) -peers.report $(CURDIR)/.peers/report.md $(PEERSFLAGS)
	@echo "the table is in .peers/report.md"

.PHONY: test-peers
test-peers: need-go engine kafka peers-jars ## check that the peers give the same sessions as Daybook
	@DAYBOOK_TEST_KAFKA=1 $(GO) test ./pipeline/peers -run '^TestPeers_' -count=1 -timeout 20m

.PHONY: peers-jars
peers-jars: .peers/.built

.peers/.built: .peers/.fetched $(wildcard $(PEERS_JAVA)/*.java)
	@command -v javac >/dev/null || { echo "missing: javac, which compiles the peers. Remedy: install a JDK (Debian: apt-get install default-jdk-headless)"; exit 1; }
	@for peer in Flink Streams; do \
	  jars=.peers/$${peer,}; classes=.peers/classes/$${peer,}; rm -rf $$classes && mkdir -p $$classes; \
	  javac -nowarn -proc:none -cp "$$jars/*" -d $$classes $(PEERS_JAVA)/{Event,Run,$${peer}Sessions}.java; \
	done
	@touch $@

.peers/.fetched: $(PEERS_JAVA)/pom.xml | need-java
	@command -v mvn >/dev/null || { echo "missing: mvn, which fetches the peers. Remedy: install Maven (Debian: apt-get install maven)"; exit 1; }
	@echo "fetching Flink and Kafka Streams (about 240 MB, once)"
	@rm -rf .peers/flink .peers/streams && mkdir -p .peers
	@for peer in flink streams; do \
	  mvn -q -B -Dstyle.color=never -f $(PEERS_JAVA)/pom.xml -P$$peer dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory='$(CURDIR)'/.peers/$$peer; \
	done
	@touch $@

# All of it takes half an hour: a minute at each load, and a backlog of ten.
.PHONY: bench-fresh
bench-fresh: need-go engine ## measure event to visible row, open loop, and draining a backlog; BENCHFLAGS='-fresh.for 20s -fresh.backlog 1m'
	@DAYBOOK_REQUIRE_ENGINE=1 $(GO) test ./cmd/daybook/e2e -run '^$$' -bench '^BenchmarkFreshness$$' -benchtime 1x -timeout 3h $(BENCHFLAGS)

.PHONY: sizing
sizing: need-go engine ## derive partitions, workers, cores and disk for 10 k, 100 k and 1 M events/s from what is measured here
	@DAYBOOK_REQUIRE_ENGINE=1 $(GO) test ./cmd/daybook/e2e -run '^$$' -bench '^BenchmarkSizing$$' -benchtime 1x -timeout 30m $(BENCHFLAGS)

# Two binaries in turn, so that what else the machine does hits both.
.PHONY: bench-guard
bench-guard: need-go $(STAT) ## compare the hot path with the parent commit, fail on a regression; ROUNDS=10 EACH=0.5s MARGIN=10
	@.ci/bench-proof $(STAT)
	@.ci/bench-guard $(STAT) $(ROUNDS) $(EACH) $(MARGIN)

.PHONY: golden
golden: need-go engine npm-tests ## rewrite the golden files; review them by reading
	@$(GO) test $$(grep -rlE 'flag\.Bool\("update"' --include='*_test.go' cmd pipeline clickhouse schemas | xargs -rn1 dirname | sort -u | sed 's|^|./|') -update
	@git status --short

.PHONY: fresh
fresh: ## time make run and make test in a new clone with empty caches
	@.ci/fresh

.PHONY: deskdrop
deskdrop: need-go engine ## check the four Deskdrop numbers; DATA=…/users_interactions.csv.zip
	@test -f "$(DATA)" || { echo "give the file: make deskdrop DATA=…/users_interactions.csv.zip (it is not part of the project)"; exit 2; }
	@DESKDROP="$$(realpath $(DATA))" $(GO) test ./cmd/daybook/e2e -tags deskdrop -run '^TestDeskdrop' -count=1 -v -timeout 20m

.PHONY: clean
clean: ## remove what was built, the engine and the tools; not your data
	@rm -rf bin .tools .cache .kafka .peers .soak .bench $(ENGINE)/node_modules $(NPM_TESTS:%=%/node_modules)

$(LINT): | need-go
	@mkdir -p $(TOOLS)
	@echo "installing golangci-lint $(LINT_VERSION)"
	@GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv $(TOOLS)/golangci-lint $@

$(STAT): | need-go
	@mkdir -p $(TOOLS)
	@echo "installing benchstat $(STAT_VERSION)"
	@GOBIN=$(TOOLS) $(GO) install golang.org/x/perf/cmd/benchstat@$(STAT_VERSION)
	@mv $(TOOLS)/benchstat $@

.PHONY: need-go
need-go:
	@command -v $(GO) >/dev/null || { echo "missing: go. Remedy: install Go $(GO_MIN) or newer (https://go.dev/dl/)"; exit 1; }
	@have=$$(GOTOOLCHAIN=local $(GO) env GOVERSION 2>/dev/null || $(GO) version | awk '{print $$3}'); have=$${have#go}; \
	printf '%s\n%s\n' '$(GO_MIN)' "$$have" | sort -VC || { echo "go is $$have, Daybook needs $(GO_MIN) or newer. Remedy: install it (https://go.dev/dl/)"; exit 1; }

.PHONY: need-java
need-java:
	@command -v java >/dev/null || { echo "missing: java, which runs Apache Kafka. Remedy: install Java $(JAVA_MIN) or newer (Debian: apt-get install default-jre-headless)"; exit 1; }
	@have=$$(java -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p'); \
	test "$${have:-0}" -ge $(JAVA_MIN) || { echo "java is $${have:-of an unknown version}, Apache Kafka needs $(JAVA_MIN) or newer. Remedy: install it (Debian: apt-get install default-jre-headless)"; exit 1; }

.PHONY: need-npm
need-npm:
	@command -v $(NPM) >/dev/null || { echo "missing: npm, which fetches the embedded ClickHouse engine. Remedy: install Node.js with npm (https://nodejs.org/)"; exit 1; }
