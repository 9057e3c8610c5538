#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: bundle_test.sh SOURCE BUILD PYTHON WORK. Packs BUILD, runs a program of the bundle, looks where its libraries
# come from, and lets run.sh refuse a Python with another torch.
set -euo pipefail
source=$1 build=$2 python=$3 work=$4
fail() {
  printf 'bundle_test.sh: %s\n' "$*" >&2
  exit 1
}

[[ -f ${XDG_CACHE_HOME:-$HOME/.cache}/assay/env.sh ]] || { echo "needs ci/bootstrap.sh" && exit 77; }
rm -rf "$work" && mkdir -p "$work"
unset LD_LIBRARY_PATH
programs=assay,attention_test,backprop_test,compile_device_step_test,compiled_step_bench,harness_inspect_test,kernels_test,suite_compile_test
"$source/ci/bundle.sh" "$work/bundle" --build "$build" --programs "$programs"
run=("$work/bundle/run.sh" --python "$python")

tests=$("${run[@]}" harness_inspect_test --gtest_list_tests)
[[ $tests == *ParseCode.* ]] || fail "expected the list of tests of harness_inspect_test, found: $tests"

# Libraries of Debian packages must come from the bundle, torch's from the Python; the C and C++ runtime is the machine's.
for program in "$work"/bundle/bin/*; do
  strangers=$(LD_TRACE_LOADED_OBJECTS=1 "${run[@]}" "$(basename "$program")" |
    awk '$3 ~ "^/(usr/)?lib/" || /not found/ { print $1, $3 }' |
    grep -vE '^lib(c|m|dl|rt|util|pthread|gcc_s|stdc\+\+|gomp)\.so' || true)
  [[ -z $strangers ]] || fail "expected $(basename "$program") to load from bundle, torch or runtime; found: $strangers"
done

# A Python whose torch is another: metadata is all that run.sh asks for.
mkdir -p "$work/other/torch-2.10.0.dist-info"
printf 'Metadata-Version: 2.1\nName: torch\nVersion: 2.10.0\n' >"$work/other/torch-2.10.0.dist-info/METADATA"
status=0
message=$(PYTHONPATH=$work/other "${run[@]}" harness_inspect_test 2>&1) || status=$?
[[ $status == 2 && $message == *"found 2.10.0"* ]] || fail "expected torch 2.10.0 to be refused, found status $status: $message"

status=0
message=$("$source/ci/bundle.sh" "$work/none" --build "$build" --programs assay,no_such_program 2>&1) || status=$?
[[ $status != 0 && $message == *"expected no_such_program"* && ! -e $work/none ]] ||
  fail "expected a program that was not built to be refused, found status $status: $message"

status=0
"${run[@]}" no_such_program >/dev/null 2>&1 || status=$?
[[ $status == 2 ]] || fail "expected exit status 2 for a program that is not there, found $status"
rm -rf "$work"
