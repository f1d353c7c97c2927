#!/bin/bash
# Fuzzes targets in turn with coverage guidance: packaging/fuzz.sh TARGET|dataplane|all SECONDS
# What libFuzzer finds grows in target/fuzz/work/<target>; an input that crashes lies in target/fuzz/artifacts. Each target runs, also
# after a crash of another; a summary ends the run, which fails when something crashed. Nothing outside of target/ changes.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1 seconds=$2
out=target/fuzz guided=tests/fuzz/guided

control="sdp settings request_json request_form cms_message cms_frames cms_form cms_xml"
decoders="decode_vp8 decode_vp9 decode_h264 decode_av1 decode_sound"
every=$(find tests/fuzz/corpus -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)
case $target in
    all) names=$every ;;
    dataplane) names=$(grep -vwE "${control// /|}|${decoders// /|}" <<<"$every") ;;
    *)
        names=$target
        if ! grep -qxF -- "$target" <<<"$every"; then
            printf 'there is no target %s; there are: dataplane all %s\n' "$target" "$(tr '\n' ' ' <<<"$every")" >&2
            exit 2
        fi
        ;;
esac

# Coverage counters for everything in Rust; the passes are stable compiler options, so no nightly is needed.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
features=()
case " all $control " in *" $target "*) features+=(--features control) ;; esac
case " all $decoders " in *" $target "*) features+=(--features decoders) ;; esac
host=$(rustc -vV | sed -n 's/^host: //p')
echo "== building with coverage counters into $out; the first time takes some minutes"
cp Cargo.lock "$guided/" # The versions that are shipped. Git ignores it.
RUSTFLAGS=$flags cargo build --release --manifest-path "$guided/Cargo.toml" --target "$host" --target-dir "$out" "${features[@]}"

mkdir -p "$out/artifacts"
summary="" failed=0
for name in $names; do
    mkdir -p "$out/work/$name"
    log=$out/work/$name.log result=ok
    echo "== $name for $seconds s"
    PLENUM_FUZZ_TARGET=$name nice -n 10 "$out/$host/release/plenum-fuzz" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 -verbosity=0 -artifact_prefix="$out/artifacts/$name-" \
        "$out/work/$name" "tests/fuzz/corpus/$name" 2>&1 | tee "$log" || result=CRASHED failed=1
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    added=$(sed -n 's/^stat::new_units_added: *//p' "$log")
    summary+=$(printf '%-24s %12s inputs, %6s of them new  %s' "$name" "${tried:-?}" "${added:-?}" "$result")$'\n'
done
printf '\n== summary (found inputs: %s/work, crashing ones: %s/artifacts)\n%s' "$out" "$out" "$summary"
exit $failed
