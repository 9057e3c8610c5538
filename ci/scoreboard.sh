#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up what is missing, builds for this machine, judges every suite on it and writes out/scoreboard.md, its HTML and
# one record file a suite, out/SUITE/…jsonl:  ci/scoreboard.sh [SUITE…]
# Records that are to stay go to results/SUITE/ by hand, and results/SCOREBOARD.md with them: it is the board of all that lie there.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

known=()
for folder in suites/*/CMakeLists.txt; do
  known+=("$(basename "$(dirname "$folder")")")
done
suites=("$@")
((${#suites[@]} > 0)) || suites=("${known[@]}")
for suite in "${suites[@]}"; do
  [[ -f suites/$suite/CMakeLists.txt ]] || die "expected suites of ${known[*]}, found '$suite'"
done

timed "setting up" bootstrap
capability=$(gpu_capability)
build=build/dev
configure=(cmake --preset dev)
case $capability in
  '') device=cpu ;;
  90) device=sm_90 build=build/gpu configure=(cmake --preset gpu) ;;
  # Another GPU: its own machine code alone, in a folder of its own.
  *) device=sm_$capability build=build/sm_$capability
    configure=(cmake --preset gpu -B "$build" "-DCMAKE_CUDA_ARCHITECTURES=$capability-real") ;;
esac
timed "configuring $build" "${configure[@]}" >/dev/null
timed "building $build" cmake --build "$build" --target assay

commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
mkdir -p out
records=() status=0
for suite in "${suites[@]}"; do
  file=out/$suite/$(date -u +%Y%m%dT%H%M%SZ)_${device}_$commit.jsonl
  mkdir -p "out/$suite"
  timed "judging $suite on $device" "$build/bin/assay" run "$suite" --out "$file" --report out || status=1
  [[ -f $file ]] && records+=("$file")
done
# With several suites the scoreboard is that of all their records.
((${#records[@]} <= 1)) || "$build/bin/assay" report "${records[@]}" --out out
say "records: ${records[*]:-none}"
say "scoreboard: $root/out/scoreboard.md and scoreboard.html"
exit "$status"
