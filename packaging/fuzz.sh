#!/bin/bash
# Fuzzes targets in turn with coverage guidance: packaging/fuzz.sh TARGET|dataplane|all SECONDS
# What libFuzzer finds grows in target/fuzz/work/<target>; an input that crashes lies in target/fuzz/artifacts and fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1 seconds=$2
out=target/fuzz guided=tests/fuzz/guided

# Coverage counters for everything in Rust; the passes are stable compiler options, so no nightly is needed.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
control="sdp settings request_json request_form cms_message cms_frames cms_form cms_xml"
features=()
case " all $control " in *" $target "*) features=(--features control) ;; esac
host=$(rustc -vV | sed -n 's/^host: //p')
cp Cargo.lock "$guided/" # The versions that are shipped.
RUSTFLAGS=$flags cargo build --release --manifest-path "$guided/Cargo.toml" --target "$host" --target-dir "$out" "${features[@]}"

every=$(find tests/fuzz/corpus -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)
case $target in
    all) names=$every ;;
    dataplane) names=$(grep -vwE "${control// /|}" <<<"$every") ;;
    *) names=$target ;;
esac
mkdir -p "$out/artifacts"
for name in $names; do
    mkdir -p "$out/work/$name"
    echo "== $name"
    PLENUM_FUZZ_TARGET=$name nice -n 10 "$out/$host/release/plenum-fuzz" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 -verbosity=0 -artifact_prefix="$out/artifacts/$name-" \
        "$out/work/$name" "tests/fuzz/corpus/$name"
done
