# Everything is done by cargo and the scripts here; `make help` lists the ways in.
#
# Every cargo call selects the whole workspace: cargo picks dependency features by the selected packages, and another
# selection would build wasmtime a second time. Lints and docs have a target folder of their own, where they wait for no build.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help dev build test bench components fmt lint deny docs clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: ## Build and start a gateway with the sandbox on 127.0.0.1:8080
	@scripts/bootstrap build
	@$(MAKE) --no-print-directory components
	cargo build --locked --workspace --bin portico
	@exec target/debug/portico dev

build: ## Build target/release/portico
	@scripts/bootstrap build
	@$(MAKE) --no-print-directory components
	cargo build --locked --release --workspace --bin portico

test: ## Check format, lints, dependencies and docs, build, and run every test (what CI runs)
	@scripts/test

bench: ## Measure: guest calls, and the whole process against a bare hyper server
	@benches/bench

components: ## Build the providers and the test guests to target/components
	cargo build --locked --workspace --bin portico-provider-build
	target/debug/portico-provider-build --out target/components

fmt: ## Format the code
	cargo fmt --all

lint: ## Run clippy, warnings are errors
	cargo clippy --target-dir target/lint --locked --workspace --all-targets -- -D warnings

deny: ## Check licences, sources, duplicates and advisories of the dependencies
	@scripts/deny

docs: ## Build the code's documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --target-dir target/lint --locked --workspace --no-deps --document-private-items

clean: ## Remove everything that was built
	cargo clean
