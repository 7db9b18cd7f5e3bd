# What there is to do with mongosplit's source. `make help` lists it.

.PHONY: help demo build test unit oracle-unit faults faults-selection e2e outputs examples browser conformance oracle laws kill limits fuzz fuzz-check lint msrv deny check bench bench-large bench-micro instructions install dist
.DEFAULT_GOAL := help

CARGO ?= cargo
# Seeds and documents of `oracle`; kills of each kind of run of `kill`.
SEEDS ?= 1 2 3 4 5 6
DOCUMENTS ?= 300
KILLS ?= 100
# Random mappings of each property of `laws`, with ten documents each.
MAPPINGS ?= 10000
# More options for the benchmarks (benches/run --help), the end-to-end tests (python -m unittest), fuzz/run, tests/limits/run.
BENCH ?=
E2E ?=
FUZZ ?=
LIMITS ?=

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

# Where cargo builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where `install` installs: below DESTDIR, for packages.
PREFIX ?= /usr/local
DESTDIR ?=
SHARE = $(DESTDIR)$(PREFIX)/share

# The profile `quick` is `release` without what makes its build slow.
DEMO = $(TARGET)/quick/mongosplit
demo: ## the main job on a small dump, there and back (needs Rust alone)
	@echo '--- build'
	$(CARGO) build --profile quick --bin mongosplit
	@rm -rf $(TARGET)/demo && mkdir -p $(TARGET)/demo
	@echo '--- split a dump that the real mongodump wrote'
	$(DEMO) transform fixtures/dump $(TARGET)/demo/out
	@echo '--- what came of it'
	@cd $(TARGET)/demo/out && find . -type f | sort | xargs ls -l
	@echo '--- check it against its manifest'
	$(DEMO) verify $(TARGET)/demo/out
	@echo '--- and back'
	$(DEMO) reverse $(TARGET)/demo/out $(TARGET)/demo/back
	cmp fixtures/dump/narrative_modeling/user_data.bson $(TARGET)/demo/back/narrative_modeling/user_data.bson
	@echo 'demo: the original came back, byte for byte. The output is in $(TARGET)/demo/out.'

build:
	$(CARGO) build

test: unit oracle-unit faults-selection e2e ## all tests; says what it leaves out where Python, Java or Maven are missing

unit: build
	$(CARGO) test

oracle-unit:
	@if command -v python3 >/dev/null; then \
	    echo 'cd tests/oracle && python3 -m unittest'; \
	    cd tests/oracle && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest; \
	else echo 'oracle-unit: left out: python3 not found'; test -z "$${CI:-}"; fi

faults-selection: build
	@if command -v python3 >/dev/null; then \
	    CARGO='$(CARGO)' MONGOSPLIT='$(TARGET)/debug/mongosplit' tests/faults/run --quick; \
	else echo 'faults: left out: python3 not found'; test -z "$${CI:-}"; fi

e2e: build ## against a real server (MONGODB_URI, or one that is installed into target/)
	tests/e2e/run $(E2E)

outputs: ## write the outputs of tests/data/outputs/unreleased, as this version makes them
	UPDATE_OUTPUTS=1 $(CARGO) test --test outputs

examples: build ## check docs/examples: manifests by their schemas, alerts and metrics by promtool (into target/), units, scripts
	docs/examples/check

browser: build ## the HTML reports in a headless Chromium, with screenshots in target/browser
	tests/browser/run

conformance: ## the test files of CORPUS, a directory (CORPUS=../shared/corpus)
	@test -d "$(CORPUS)" || { echo 'conformance: CORPUS=DIR is missing or no directory' >&2; exit 2; }
	CORPUS="$(abspath $(CORPUS))" $(CARGO) test --test conformance --test archive

oracle: build ## hostile documents against an independent reading of the mapping
	tests/oracle/run --documents $(DOCUMENTS) $(SEEDS)

laws: ## random mappings and documents: the way back, findings, privacy and merging
	CASES=$(MAPPINGS) $(CARGO) test --test roundtrip --test privacy --test merging

kill: build ## kill -9 at random times, and failures at every step: complete output or none
	tests/kill --kills $(KILLS)
	EVERY_STEP=1 $(CARGO) test --test crash at_each_step

limits: ## memory and time on the most awkward inputs, every bit of small ones (LIMITS=options of tests/limits/run)
	$(CARGO) build --release --bin mongosplit
	tests/limits/run $(LIMITS)
	EVERY_BIT=1 $(CARGO) test --test hostile --test corruption --test damaged_input

faults: ## every file call of every kind of run fails; full disks, limits, inputs that change (12 minutes)
	$(CARGO) build --profile quick --bin mongosplit
	CARGO='$(CARGO)' MONGOSPLIT='$(TARGET)/quick/mongosplit' tests/faults/run
	MONGOSPLIT='$(TARGET)/quick/mongosplit' tests/faults/limits

fuzz: ## fuzz the parsers and the way back, a minute each (FUZZ='SECONDS TARGET...')
	fuzz/run $(FUZZ)

fuzz-check: ## whether the fuzz targets compile, without their instrumentation
	RUSTFLAGS='--cfg fuzzing' CARGO_TARGET_DIR=fuzz/target/check $(CARGO) check --locked --manifest-path fuzz/Cargo.toml

lint: deny msrv ## format, clippy, documentation, stated Rust version, licences and advisories
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps

msrv: ## whether the Rust version in Cargo.toml is enough
	CARGO='$(CARGO)' .ci/msrv

# The advisories are in a repository of their own, which not every machine reaches; the rest needs the registry alone.
deny: ## cargo-deny, where it is installed
	@if ! command -v cargo-deny >/dev/null; then \
	    echo 'deny: left out: cargo-deny not found (cargo install --locked cargo-deny)'; \
	elif $(CARGO) deny fetch db >/dev/null 2>&1; then \
	    $(CARGO) deny check; \
	else \
	    echo 'deny: without advisories: their database cannot be fetched'; \
	    $(CARGO) deny check bans licenses sources; \
	fi

check: test lint ## test and lint

bench: ## the benchmark, 1 GB; writes docs/BENCHMARKS.md (BENCH=options of benches/run)
	benches/run --size 1G $(BENCH)

bench-large: ## what depends on the size, with 8 GB; writes docs/BENCHMARKS-LARGE.md
	benches/run --size 8G --only main --only sizes --runs 3 --page docs/BENCHMARKS-LARGE.md $(BENCH)

bench-micro: ## the hot parts, one by one
	$(CARGO) bench --bench micro

instructions: ## instruction counts of a fixed input (valgrind); writes them into docs/BENCHMARKS.md
	benches/instructions

install: ## the binary, manual pages and completions below PREFIX (/usr/local); DESTDIR for packages
	$(CARGO) build --release --bin mongosplit
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(SHARE)/man/man1' '$(SHARE)/bash-completion/completions' \
	    '$(SHARE)/zsh/site-functions' '$(SHARE)/fish/vendor_completions.d'
	install -m 755 '$(TARGET)/release/mongosplit' '$(DESTDIR)$(PREFIX)/bin/mongosplit'
	umask 022 && '$(TARGET)/release/mongosplit' man --all '$(SHARE)/man/man1'
	umask 022 && '$(TARGET)/release/mongosplit' completions bash >'$(SHARE)/bash-completion/completions/mongosplit'
	umask 022 && '$(TARGET)/release/mongosplit' completions zsh >'$(SHARE)/zsh/site-functions/_mongosplit'
	umask 022 && '$(TARGET)/release/mongosplit' completions fish >'$(SHARE)/fish/vendor_completions.d/mongosplit.fish'

dist: ## a static binary with its pages in an archive, the same bytes each time, in target/dist
	packaging/dist
