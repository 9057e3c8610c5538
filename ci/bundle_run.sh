#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a program of this bundle with the torch and CUDA libraries of this machine's Python:  run.sh PROGRAM [ARGUMENT…]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=python3
[[ ${1:-} != --python ]] || { python=${2:?--python needs a program} && shift 2; }
programs=("$here"/bin/*)
if (($# == 0)) || [[ ! -x $here/bin/$1 ]]; then
  printf 'Usage: run.sh [--python PROGRAM] PROGRAM [ARGUMENT…]\nPROGRAM is one of: %s\n' "${programs[*]##*/}" >&2
  exit 2
fi

# Folders with torch's and NVIDIA's libraries, without importing torch.
libraries=$("$python" - <<'PYTHON'
import importlib.util
import sys
from glob import glob
from importlib.metadata import PackageNotFoundError, version

wanted = "2.11."
try:
    found = version("torch")
except PackageNotFoundError:
    found = "none"
if not found.startswith(wanted):
    sys.exit(f"run.sh: expected torch {wanted}x (CUDA 13) in {sys.executable}, found {found}: "
             "use another Python (run.sh --python …) or install that version")
torch = list(importlib.util.find_spec("torch").submodule_search_locations)[0]
if not glob(torch + "/lib/libtorch_cuda.so"):
    sys.exit(f"run.sh: expected a CUDA build of torch in {torch}, found one without libtorch_cuda.so")
folders = [torch + "/lib"]
nvidia = importlib.util.find_spec("nvidia")
for root in nvidia.submodule_search_locations if nvidia else []:
    folders += sorted(glob(root + "/*/lib"), key=lambda folder: "/cu13/" not in folder)
print(":".join(folders))
PYTHON
) || exit 2

# The wheel's libraries first: a toolkit of another minor version must not shadow what torch was built with.
export LD_LIBRARY_PATH=$here/lib:$libraries:/usr/local/cuda/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
program=$here/bin/$1
shift
exec "$program" "$@"
