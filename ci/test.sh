#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up what is missing, builds everything, runs every test: ci/test.sh. Tests that need a GPU skip themselves without
# one. Then the rooms that touch raw memory and read untrusted files are tested again under ASan and UBSan.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

sanitized_programs=(kernels_test reference_test harness_core_test harness_door_test harness_io_test harness_record_test
                    compile_checkpoint_test fsdp_layout_test fsdp_schedule_test pipeline_schedule)
# A cold build may take 35 minutes on two cores. When the first part alone took this long nothing was cached, and the
# sanitizer's part waits for the next run; its build then starts from a warm cache. (`all` never waits.)
sanitizers_start_before_s=1200

timed "setting up" bootstrap
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(nproc)}
# CUDA maps memory where ASan keeps its shadow gap; without a GPU this changes nothing.
export ASAN_OPTIONS=protect_shadow_gap=0 UBSAN_OPTIONS=print_stacktrace=1

configure() { timed "configuring $1" quiet cmake --preset "$1"; }

status=0
configure dev
timed "building dev" cmake --build --preset dev
timed "testing dev" ctest --preset dev || status=1
if ((SECONDS < sanitizers_start_before_s)) || [[ ${1:-} == all ]]; then
  configure asan
  timed "building asan" cmake --build --preset asan --target "${sanitized_programs[@]}"
  # Programs that were not built show as tests of that name.
  timed "testing under ASan and UBSan" ctest --preset asan -E '_NOT_BUILT$' || status=1
else
  say "no time for the sanitizer's part: $SECONDS s so far (ci/test.sh all runs it in any case)"
fi
ccache --show-stats | sed -n 's/^ *\(Hits\|Misses\|Cache size[^:]*\):/compiler cache: \1/p' | head -n 4
exit "$status"
