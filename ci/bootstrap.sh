#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing Assay needs and is not there yet: Debian packages, a Python environment with the
# pinned wheels, a CUDA 13 compiler. Everything but the Debian packages goes into the cache outside the checkout.
# Checks instead of assuming: run it as often as you like, it takes a second when nothing is missing.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<EOF
Usage: ci/bootstrap.sh [--cuda-from-wheels] [--with-clang] [--with-browser]
  --cuda-from-wheels  use the CUDA 13 compiler from Python wheels even where a toolkit is installed
  --with-clang        also install clang with libFuzzer (ci/fuzz.sh needs it)
  --with-browser      also install Chromium (the test that opens the HTML scoreboard needs it, and skips without)
Installs into $cache and writes $cache/env.sh for the other scripts.
EOF
}

debian_packages=(g++ cmake ninja-build ccache git python3 python3-venv python3-dev binutils patchelf shellcheck
  libgtest-dev libgmock-dev libbenchmark-dev nlohmann-json3-dev libvalijson-dev libcli11-dev libfmt-dev libhwy-dev libeigen3-dev libssl-dev)
cuda_from_wheels=no
for argument in "$@"; do
  case $argument in
    --cuda-from-wheels) cuda_from_wheels=yes ;;
    --with-clang) debian_packages+=(clang libclang-rt-14-dev) ;;
    --with-browser) debian_packages+=(chromium fonts-dejavu-core) ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && die "expected one of the options above, found '$argument'" ;;
  esac
done

venv=$cache/python
requirements=$root/ci/python-requirements.txt
cuda_requirements=$root/ci/cuda-requirements.txt

install_debian_packages() {
  local missing=() package as_root=()
  command -v dpkg-query >/dev/null || {
    say "not a Debian system: install yourself what is missing of: ${debian_packages[*]}"
    return
  }
  for package in "${debian_packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      die "expected root or sudo to install Debian packages; run as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# The first Python 3.11+ that can make environments and has its headers (torch.compile builds C++ against them).
find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import ensurepip, os, sys, sysconfig, venv
sys.exit(not (sys.version_info >= (3, 11) and os.path.exists(sysconfig.get_path("include") + "/Python.h")))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "expected Python 3.11 or newer with venv and headers (python3-venv, python3-dev); found $(python3 --version 2>&1)"
}

# Prints the pins of the given files that the environment does not hold at exactly that version.
missing_wheels() {
  "$venv/bin/python" - "$@" <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version

for path in sys.argv[1:]:
    for line in open(path):
        pin = line.split("#")[0].strip()
        if not pin:
            continue
        name, wanted = pin.split("==")
        try:
            found = version(name).split("+")[0]
        except PackageNotFoundError:
            found = None
        if found != wanted:
            print(pin)
PYTHON
}

# `.installing` marks an environment whose installation was cut off: it is made anew.
install_wheels() {
  local missing
  if [[ -e $venv/.installing ]] || ! "$venv/bin/python" -c 'import sys' 2>/dev/null; then
    rm -rf "$venv"
    say "making the Python environment $venv"
    "$(find_python)" -m venv "$venv"
  fi
  mapfile -t missing < <(missing_wheels "$@")
  ((${#missing[@]})) || return 0
  enough_disk
  say "installing ${#missing[@]} wheels (torch and CUDA libraries are about 3 GB when new): ${missing[*]}"
  touch "$venv/.installing"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-cache-dir "${missing[@]}"
  rm "$venv/.installing"
}

enough_disk() {
  local free_kib
  free_kib=$(df -k --output=avail "$cache" | tail -n 1)
  ((free_kib > 8 * 1024 * 1024)) || die "expected 8 GiB free under $cache, found $((free_kib / 1024 / 1024)) GiB"
}

# Prints the folder of a CUDA toolkit 13 with compiler, headers and cuBLAS; nothing when there is none.
find_toolkit() {
  local nvcc home release
  for nvcc in "${CUDA_HOME:-/nonexistent}/bin/nvcc" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
    [[ -x $nvcc ]] || continue
    home=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
    release=$("$nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
    [[ $release -ge 13 ]] || continue
    compgen -G "$home/include/cublasLt.h" >/dev/null || compgen -G "$home/targets/*/include/cublasLt.h" >/dev/null || continue
    echo "$home"
    return
  done
}

# The wheels lay the toolkit out as nvidia/cu13/{bin,include,lib,nvvm}, without the names the linker looks for.
toolkit_from_wheels() {
  local home library plain
  home=$("$venv/bin/python" -c 'import nvidia; print(list(nvidia.__path__)[0])')/cu13
  for library in "$home"/lib/lib*.so.*; do
    plain=${library%%.so.*}.so
    [[ -e $plain ]] || ln -s "$(basename "$library")" "$plain"
  done
  [[ -e $home/lib64 ]] || ln -s lib "$home/lib64"
  echo "$home"
}

write_environment() {
  local text
  text="# Written by ci/bootstrap.sh; the scripts in ci/ source it.
export CUDACXX='$1/bin/nvcc' CUDA_HOME='$1'
export PATH='$1/bin':\"\$PATH\"
export CCACHE_DIR='$cache/ccache' CCACHE_MAXSIZE=5G CCACHE_NOHASHDIR=true
export ASSAY_PYTHON='$venv/bin/python'"
  [[ -f $cache/env.sh && $(<"$cache/env.sh") == "$text" ]] || printf '%s\n' "$text" >"$cache/env.sh"
}

mkdir -p "$cache/ccache"
exec 9>"$cache/lock"
command -v flock >/dev/null && { flock -n 9 || { say "waiting for another bootstrap" && flock 9; }; }
install_debian_packages
install_wheels "$requirements"
toolkit=
[[ $cuda_from_wheels == yes ]] || toolkit=$(find_toolkit)
if [[ -z $toolkit ]]; then
  install_wheels "$cuda_requirements"
  toolkit=$(toolkit_from_wheels)
fi
write_environment "$toolkit"
say "ready: CUDA $("$toolkit/bin/nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p') in $toolkit, Python and compiler cache in $cache"
