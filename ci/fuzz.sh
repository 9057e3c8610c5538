#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds every tests/fuzz/*_fuzz.cpp with clang's libFuzzer, ASan and UBSan, and runs each over its corpus for a while.
# What a target needs stands in its head comment (tests/fuzz/README.md).
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<EOF
Usage: ci/fuzz.sh [--seconds N] [--minimize] [--build-only] [TARGET…]
  --seconds N   how long each target runs (default 60)
  --minimize    afterwards bring what was found into tests/fuzz/corpus, as few and small files as keep its coverage
  --build-only  build, run nothing
  TARGET        names of targets (safetensors, record, …; default: all)
New inputs, crashes and logs go to build/fuzz/TARGET/. Exit status 1: a target found a fault.
EOF
}

seconds=60 minimize=no run=yes targets=()
while (($#)); do
  case $1 in
    --seconds)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "expected a number of seconds after --seconds, found '${2:-}'"
      seconds=$2
      shift
      ;;
    --minimize) minimize=yes ;;
    --build-only) run=no ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && die "expected one of the options above, found '$1'" ;;
    *) targets+=("$1") ;;
  esac
  shift
done

bootstrap --with-clang
cd "$root"
compiler=$(compgen -c clang++ | grep -xE 'clang\+\+(-[0-9]+)?' | sort -V | head -n 1)
[[ -n $compiler ]] || die "expected clang with libFuzzer, found no clang++; run ci/bootstrap.sh --with-clang"
launcher=()
if command -v ccache >/dev/null; then
  launcher=(ccache)
fi
flags=(-std=c++20 -O1 -gline-tables-only -fno-omit-frame-pointer -DASSAY_LIBFUZZER=1 -DFMT_HEADER_ONLY=1 -I. -isystem "$CUDA_HOME/include"
  "-fsanitize=fuzzer,address,undefined,float-cast-overflow" -fno-sanitize-recover=all)

head_comment() { sed -n '/^\/\//!q; s|^// \{0,1\}||p' "tests/fuzz/$1_fuzz.cpp"; }
# Every path of a .cpp file in the head comment.
sources_of() { head_comment "$1" | grep -oE '[A-Za-z0-9_/.-]+\.cpp' | grep / | sort -u; }
corpus_of() {
  local folders
  folders=(tests/fuzz/corpus/"$1"*/)
  echo "${folders[0]%/}"
}
# Files that libFuzzer named, by the SHA-1 of what they hold; the others were written by people and stay.
found_inputs() { find "$@" -regextype posix-extended -type f -regex '.*/[0-9a-f]{40}'; }

build() {
  local target=$1 source sources objects=()
  [[ -f tests/fuzz/${target}_fuzz.cpp ]] || die "expected a target of tests/fuzz/*_fuzz.cpp, found '$target'"
  mapfile -t sources < <(sources_of "$target")
  ((${#sources[@]})) || die "tests/fuzz/${target}_fuzz.cpp: expected its sources in the head comment, found none"
  mkdir -p "build/fuzz/$target/corpus" "$(corpus_of "$target")"
  for source in "tests/fuzz/${target}_fuzz.cpp" "${sources[@]}"; do
    objects+=("build/fuzz/$target/$(basename "$source" .cpp).o")
    "${launcher[@]}" "$compiler" "${flags[@]}" -c "$source" -o "${objects[-1]}"
  done
  "$compiler" "${flags[@]}" "${objects[@]}" -lpthread -ldl -o "build/fuzz/$target/fuzz"
}

fuzz() {
  local target=$1 folder=build/fuzz/$1 options status=0
  options=(-max_total_time="$seconds" -rss_limit_mb=1024 -malloc_limit_mb=512 -timeout=10 -max_len=16384
    -print_final_stats=1 "-artifact_prefix=$folder/")
  [[ ! -f tests/fuzz/$target.dict ]] || options+=("-dict=tests/fuzz/$target.dict")
  "$folder/fuzz" "${options[@]}" "$folder/corpus" "$(corpus_of "$target")" >"$folder/log" 2>&1 || status=$?
  grep -E '^stat::(number_of_executed_units|average_exec|peak_rss)' "$folder/log" | sed 's/^stat::/  /' || true
  ((status == 0)) && return
  say "$target: found a fault; last lines of $folder/log:"
  tail -n 40 "$folder/log" | sed 's/^/  /'
  return 1
}

# To what people wrote, the found inputs that add most coverage: at most 40, so that the corpus stays readable and small.
minimize_corpus() {
  local target=$1 folder=build/fuzz/$1 corpus
  corpus=$(corpus_of "$target")
  rm -rf "$folder/found" "$folder/merged" "$folder/control" && mkdir "$folder/found" "$folder/merged"
  found_inputs "$folder/corpus" | xargs -r cp -t "$folder/found"
  found_inputs "$corpus" | xargs -r cp -t "$folder/found"
  found_inputs "$corpus" | xargs -r rm
  "$folder/fuzz" -merge=1 -max_len=16384 -use_counters=0 -merge_control_file="$folder/control" "$folder/merged" "$corpus" \
    "$folder/found" 2>>"$folder/log"
  most_covering "$folder/control" "$folder/found" | xargs -r cp -t "$corpus"
  say "$target: corpus of $(find "$corpus" -type f -printf '%s\n' | awk '{bytes += $1} END {print NR " files, " bytes " bytes"}')"
}

# Prints which files of a folder to keep, greedily. A libFuzzer control file: two counts, the file names, then lines
# "COV file code-position…", files numbered from 0.
most_covering() {
  "$ASSAY_PYTHON" - "$@" <<'PYTHON'
import sys

lines = open(sys.argv[1]).read().splitlines()
names = lines[2 : 2 + int(lines[0])]
reached = {name: set() for name in names}
for line in lines[2 + len(names) :]:
    kind, file, *positions = line.split()
    if kind == "COV":
        reached[names[int(file)]] |= set(positions)
candidates = {name: reached.pop(name) for name in names if name.startswith(sys.argv[2] + "/")}
covered = set().union(*reached.values())
for _ in range(40):
    best = max(candidates, key=lambda name: len(candidates[name] - covered), default=None)
    if best is None or not candidates[best] - covered:
        break
    covered |= candidates.pop(best)
    print(best)
PYTHON
}

if ((${#targets[@]} == 0)); then
  for path in tests/fuzz/*_fuzz.cpp; do
    targets+=("$(basename "$path" _fuzz.cpp)")
  done
fi
failed=()
for target in "${targets[@]}"; do
  timed "building $target" build "$target"
  [[ $run == yes ]] || continue
  timed "fuzzing $target for $seconds s" fuzz "$target" || failed+=("$target")
  [[ $minimize == no ]] || minimize_corpus "$target"
done
((${#failed[@]} == 0)) || { say "faults in: ${failed[*]}" && exit 1; }
