#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up what is missing, builds everything, runs every test: ci/test.sh. Tests that need a GPU skip themselves without one.
# The host code's tests run a second time under ASan and UBSan.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

timed "setting up" bootstrap
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(nproc)}
# CUDA maps memory where ASan keeps its shadow gap; without a GPU this changes nothing.
export ASAN_OPTIONS=protect_shadow_gap=0 UBSAN_OPTIONS=print_stacktrace=1

# Configures and builds one preset.
build() {
  timed "configuring $1" quiet cmake --preset "$1" -DASSAY_TRITON_CACHE="$cache/triton"
  timed "building $1" cmake --build --preset "$1"
}

build dev
build asan
ccache --show-stats | sed -n 's/^ *\(Hits\|Misses\|Cacheable calls\|Cache size[^:]*\):/compiler cache: \1/p' | head -n 4
status=0
timed "testing dev" ctest --preset dev || status=1
timed "testing host code under ASan and UBSan" ctest --preset asan || status=1
exit "$status"
