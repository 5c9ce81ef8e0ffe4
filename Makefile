# make run    builds Atoll and starts it on config.yaml; nothing else needs to be installed
# make test   everything that CI checks
# make bench  measures, and prints the figures of benches/README.md
# make fuzz   fuzzes each target for a minute (needs the nightly toolchain and cargo-fuzz)
# make test-clis   drives the real coding CLIs in the folder ATOLL_CLI_BIN against stand-ins for their models

# What is built stays outside the clone, so that a second clone is quick.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/atoll/target
export ATOLL_TOOLS ?= $(HOME)/.cache/atoll/tools
export PATH := $(ATOLL_TOOLS)/bin:$(HOME)/.cargo/bin:$(PATH)

.PHONY: run test test-clis services fmt lint check unit doc deny bench fuzz docs

run:
	cargo run --release --locked -- --config config.yaml start

test: fmt lint unit doc deny
	@echo "make test: all passed"

fmt:
	cargo fmt --check
	cd fuzz && cargo fmt --check
	cd relay && cargo fmt --check

lint:
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --all-features -- -D warnings
	cd relay && cargo clippy --locked -- -D warnings

# Docker with gVisor in a daemon of its own, for the tests of the sandbox.
services:
	scripts/services

unit: services
	scripts/packages
	scripts/tool cargo-nextest
	cargo nextest run --locked --features chaos --profile ci

test-clis:
	cargo nextest run --locked --features chaos,real-clis --test it engines::real::

doc:
	cargo test --locked --all-features --doc
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features

deny:
	scripts/tool cargo-deny
	scripts/deny

bench:
	cargo bench --locked

fuzz:
	for target in sse openai anthropic config claude_code codex mux gateway markup discord telegram; do \
		cargo +nightly fuzz run $$target -- -max_total_time=60 || exit 1; done

# Writes the generated parts of the documents anew.
docs:
	ATOLL_WRITE_DOCS=1 cargo nextest run --locked --test it docs::the_readme
