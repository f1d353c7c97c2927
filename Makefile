# Plenum. `make run` starts the appliance, `make test` proves it, `make bench` measures it.
SEEDS ?= 100
TARGET ?= dataplane
SECONDS ?= 60

.PHONY: run build test test-arm lint bench sim fuzz fmt help

help:
	@echo "make run    build the release programs, start the appliance, print the address to open"
	@echo "make test   run every test (sets up what is missing)"
	@echo "make test-arm   the kernels on aarch64, under qemu"
	@echo "make lint   formatting, clippy, shell scripts"
	@echo "make sim SEEDS=n   n seeds of the simulation"
	@echo "make fuzz TARGET=vp8 SECONDS=60   coverage-guided fuzzing of a target, dataplane or all"
	@echo "make bench  benchmarks with peers in the same run; the report goes to target/bench/"

build:
	@packaging/setup.sh build
	cargo build --release -p plenum -p plenum-media -p plenum-mix

run: build
	exec target/release/plenum up

test:
	@packaging/setup.sh test
	cargo build -p plenum -p plenum-media -p plenum-mix
	cargo test --workspace --no-fail-fast
	@levels=$$(cargo run --quiet -p plenum-kernels --example levels) || exit 1; \
	tested=0; skipped=0; \
	for level in $$levels; do case $$level in \
		*:absent) echo "SKIPPED: the kernels at level $${level%:absent}, which this processor lacks"; skipped=$$((skipped + 1));; \
		*) PLENUM_SIMD=$$level cargo test -p plenum-kernels || exit 1; tested=$$((tested + 1));; \
	esac; done; \
	echo "the kernels: $$tested levels tested, $$skipped skipped"

# The kernels on another architecture, in an emulator. How good they are needs no other look: they compute the same.
test-arm:
	@packaging/setup.sh arm
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64-static -L /usr/aarch64-linux-gnu' \
	cargo test -p plenum-kernels --lib --test twins --test no_alloc --target aarch64-unknown-linux-gnu

sim:
	@packaging/setup.sh build
	PLENUM_SIM_SEEDS=$(SEEDS) cargo test --profile sim -p plenum-tests --test sim -- --nocapture

fuzz:
	@packaging/setup.sh build
	packaging/fuzz.sh $(TARGET) $(SECONDS)

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	shellcheck packaging/*.sh .ci/run

bench:
	@packaging/setup.sh bench
	cargo build --release -p plenum -p plenum-media -p plenum-mix -p plenum-bench
	target/release/plenum-bench
	cargo run --release -p plenum-kernels --example measure | tee target/bench/kernels.md
	cargo run --release -p plenum-engines --example cost | tee target/bench/engines.md

fmt:
	cargo fmt --all
