#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packs what was built into a folder that runs on a GPU machine with torch 2.11 but without our Debian packages.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<EOF
Usage: ci/bundle.sh OUTDIR [--build DIR] [--programs LIST] [--bitsandbytes] [--weights FILE]
  --build DIR      a finished build (default: build/release, else build/gpu, else build/dev)
  --programs LIST  these programs of the build, with commas between them (default: all)
  --bitsandbytes   add the bitsandbytes libraries, the outside baseline
  --weights FILE   add the matrices of a safetensors file, stored as float16, as far as there is room
OUTDIR must not exist. Run there: OUTDIR/run.sh PROGRAM [ARGUMENT…], for example OUTDIR/run.sh assay doctor
EOF
}

limit_mib=60
out='' build='' programs='' weights='' bitsandbytes=no
while (($#)); do
  case $1 in
    --build) build=${2:?--build needs a folder} && shift ;;
    --programs) programs=${2:?--programs needs names with commas between them} && shift ;;
    --weights) weights=${2:?--weights needs a file} && shift ;;
    --bitsandbytes) bitsandbytes=yes ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && die "expected one of the options above, found '$1'" ;;
    *) [[ -z $out ]] || die "expected one OUTDIR, found '$out' and '$1'" && out=$1 ;;
  esac
  shift
done
[[ -n $out ]] || { usage >&2 && die "expected OUTDIR, found none"; }
[[ ! -e $out ]] || die "expected a new folder, found that $out exists: remove it or name another"
for candidate in release gpu dev; do
  [[ -n $build || ! -d $root/build/$candidate/bin ]] || build=$root/build/$candidate
done
compgen -G "$build/bin/*" >/dev/null ||
  die "expected a finished build, found none in '$build': run cmake --preset release && cmake --build --preset release"
[[ -f $cache/env.sh ]] || die "expected the environment of ci/bootstrap.sh, found no $cache/env.sh: run it first"
# shellcheck source=/dev/null
source "$cache/env.sh"

# Shared libraries of a binary that come from Debian packages other than the C and C++ runtime every machine has.
packaged_libraries() {
  ldd "$1" | awk '$3 ~ "^/(usr/)?lib/" { print $3 }' |
    grep -vE '/(ld-linux|lib(c|m|dl|rt|util|pthread|resolv|gcc_s|stdc\+\+|gomp))[-.]'
}

# Copies a binary without symbols; it will look beside itself and in ../lib.
add() {
  install -m 755 "$1" "$2/"
  strip --strip-unneeded "$2/$(basename "$1")"
  # shellcheck disable=SC2016 # $ORIGIN is the loader's word
  patchelf --set-rpath '$ORIGIN:$ORIGIN/../lib' "$2/$(basename "$1")"
}

size_mib() { du -sm --apparent-size "$out" | cut -f 1; }

add_weights() {
  local room=$((limit_mib - $(size_mib) - 1))
  mkdir -p "$out/weights"
  "$ASSAY_PYTHON" - "$weights" "$out/weights/$(basename "$weights")" "$room" <<'PYTHON'
import sys

from safetensors import safe_open
from safetensors.numpy import save_file

source, target, room = sys.argv[1], sys.argv[2], int(sys.argv[3]) * 2**20
kept, left = {}, []
with safe_open(source, framework="numpy") as file:
    for name in file.keys():
        tensor = file.get_tensor(name)
        if tensor.ndim != 2:
            continue
        if tensor.nbytes * 2 // tensor.itemsize > room:
            left.append(name)
            continue
        kept[name] = tensor.astype("float16")
        room -= kept[name].nbytes
if not kept:
    sys.exit(f"expected a matrix of {source} to fit the bundle, found none")
save_file(kept, target, metadata={"source": source.rsplit("/", 1)[-1], "stored_as": "float16"})
print(f"bundle.sh: {len(kept)} matrices of weights; left out for size: {', '.join(left) or 'none'}")
PYTHON
}

trap '[[ -z ${incomplete:-} ]] || rm -rf "$out"' EXIT
incomplete=yes
mkdir -p "$out/bin" "$out/lib"
if [[ -n $programs ]]; then
  for name in ${programs//,/ }; do
    [[ -x $build/bin/$name ]] || die "expected $name in $build/bin, found no such program"
    add "$build/bin/$name" "$out/bin"
  done
else
  for program in "$build"/bin/*; do
    [[ ! -f $program || ! -x $program ]] || add "$program" "$out/bin"
  done
fi
[[ ! -f $build/lib/libassay_ops.so ]] || add "$build/lib/libassay_ops.so" "$out/lib"
for binary in "$out"/bin/* "$build"/lib/*.so; do
  [[ ! -f $binary ]] || packaged_libraries "$binary" || true
done | sort -u | while read -r library; do
  install -m 755 "$(readlink -f "$library")" "$out/lib/$(basename "$library")"
done
if [[ $bitsandbytes == yes ]]; then
  package=$("$ASSAY_PYTHON" -c 'import importlib.util as u; print(list(u.find_spec("bitsandbytes").submodule_search_locations)[0])')
  install -m 755 "$package"/libbitsandbytes_{cpu,cuda130}.so "$out/lib/"
  "$ASSAY_PYTHON" -c 'from importlib.metadata import version; print(version("bitsandbytes"))' >"$out/lib/bitsandbytes.version"
fi
mkdir -p "$out/bin/peers" "$out/bin/hf"
install -m 644 "$root"/suites/*/peers/*.py "$out/bin/peers/"
install -m 644 "$root"/suites/compile/hf/*.py "$out/bin/hf/"
if [[ -x $out/bin/candidates_test ]]; then
  mkdir -p "$out/bin/candidates" "$out/bin/examples"
  install -m 755 "$build"/tests/candidates/libraries/*.so "$out/bin/candidates/"
  install -m 644 "$root"/docs/examples/*.py "$out/bin/examples/"
fi
install -m 755 "$root/ci/bundle_run.sh" "$out/run.sh"
install -m 644 "$root/LICENSE" "$out/"
[[ -z $weights ]] || add_weights
(($(size_mib) < limit_mib)) || die "expected less than $limit_mib MiB, found $(size_mib) MiB: build for fewer architectures, or name fewer programs with --programs"
incomplete=
say "$out: $(size_mib) MiB, $(find "$out/bin" -type f | wc -l) programs from $build"
