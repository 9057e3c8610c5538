# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What every script here starts with: strict mode, the repository root, the cache outside the checkout, messages.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/assay
self=$(basename "$0")

say() { printf '%s: %s\n' "$self" "$*"; }
die() {
  printf '%s: %s\n' "$self" "$*" >&2
  exit 2
}

# Runs a step, says how long it took (the CI budget is spent in the open) and passes its status on. Kept by hand: where a
# caller writes `timed … || …`, bash turns `set -e` off in here.
timed() {
  local title=$1 began=$SECONDS status=0
  shift
  say "$title …"
  "$@" || status=$?
  say "$title: $((SECONDS - began)) s"
  return "$status"
}

# Prints a step's output only when it fails.
quiet() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  ((status == 0)) || cat "$log"
  rm "$log"
  return "$status"
}

# Installs what is missing and takes over its environment (compiler, cache).
bootstrap() {
  "$root/ci/bootstrap.sh" "$@"
  # shellcheck source=/dev/null
  source "$cache/env.sh"
  # A checkout elsewhere finds the same compilations.
  export CCACHE_BASEDIR=$root
}

# Compute capability of the first GPU as two digits ("90"), empty without one.
gpu_capability() {
  command -v nvidia-smi >/dev/null || return 0
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d '. ' || true
}
