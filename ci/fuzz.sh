#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes one parser:  ci/fuzz.sh NAME [SECONDS]   builds tests/fuzz/NAME_fuzz.cpp with clang, ASan and UBSan, runs
# it over tests/fuzz/corpus/NAMEs, and leaves a minimised corpus in build/fuzz/NAME/merged. The sources a target needs
# stand in its "fuzz-source:" lines; tests/fuzz/NAME.dict is its dictionary. Findings make the script fail and stay in
# build/fuzz/NAME.
source "$(dirname "$0")/common.sh"
cd "$root"

name=${1:?usage: ci/fuzz.sh NAME [SECONDS]}
seconds=${2:-600}
target=tests/fuzz/${name}_fuzz.cpp
corpus=tests/fuzz/corpus/${name}s
compiler=${CXX_FUZZ:-clang++-14}
out=build/fuzz/$name

[[ -f $target ]] || die "expected a fuzz target $target, found none; there are: $(echo tests/fuzz/*_fuzz.cpp)"
command -v "$compiler" >/dev/null || die "expected $compiler, found none; run ci/bootstrap.sh --with-clang"
dictionary=()
[[ -f tests/fuzz/$name.dict ]] && dictionary=(-dict="tests/fuzz/$name.dict")
mapfile -t sources < <(sed -n 's|^// fuzz-source: ||p' "$target")
cuda=${CUDA_HOME:-/usr/local/cuda}

mkdir -p "$out/grown" "$out/merged" "$corpus"
"$compiler" -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
  -I. -isystem "$cuda/include" "$target" "${sources[@]}" -lfmt -o "$out/fuzz"

"$out/fuzz" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$out/" \
  "${dictionary[@]}" "$out/grown" "$corpus"

# Smallest inputs first: a merge keeps the first that covers something. Committed inputs come before grown ones.
rm -rf "$out/merged" && mkdir -p "$out/merged"
"$out/fuzz" -merge=1 -max_len=1024 "$out/merged" "$corpus" "$out/grown" 2>"$out/merge.log"
say "kept $(find "$out/merged" -type f | wc -l) inputs, $(du -cb "$out"/merged/* | tail -1 | cut -f1) bytes, in $out/merged"
