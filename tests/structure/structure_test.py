# SPDX-License-Identifier: Apache-2.0
"""Rules of the house, checked on the files of the checkout: which folder may include which, where torch may be seen,
how long a file may be, what may not be named. Each failure prints file, line, what was expected and found."""

import re
import shutil
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = {".cpp", ".hpp", ".cu", ".cuh"}
SOURCES = CODE | {".py", ".sh", ".cmake"}

# Arrows: a folder includes itself and what stands here.
MAY_INCLUDE = {
    "kernels": {"kernels"},
    "reference": {"reference"},
    "harness": {"harness"},
    "suites": {"suites", "kernels", "reference", "harness"},
}
# The only rooms about tensors. Device code never is (see test_device_code_knows_no_torch).
TORCH_ROOMS = (
    "kernels/torch/", "kernels/backprop/autograd/", "kernels/compile/eager/", "kernels/fsdp/group/",
    "kernels/fsdp/nccl/", "kernels/fsdp/engine/", "kernels/fsdp/pipeline/", "reference/backprop/eager/",
    "reference/compile/eager/", "reference/attention/eager/", "reference/llama/", "suites/backprop/", "suites/compile/",
    "suites/conformance/", "suites/fsdp/rank/", "tests/llama/", "tests/compile/", "tests/fsdp/", "harness/memory/",
)
TORCH_INCLUDE = re.compile(r'#include [<"](torch|ATen|c10|caffe2)/')

MAX_LINES = 300
# path -> lines it may have, and why it is one file.
LONG_FILES: dict[str, int] = {
    # One loop of four products; to be split at its next change, which makes its records old anyway.
    "kernels/attention/device/backward_keys_hopper.cuh": 330,
    "harness/record/record_test.cpp": 340,  # one record a field that must be refused
}


def checkout() -> list[Path]:
    """Files that are or would be committed; every file where there is no git."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(git, capture_output=True, check=True, text=True).stdout.split("\0")
        paths = [ROOT / name for name in names if name]
    except (OSError, subprocess.CalledProcessError):
        built = (ROOT / "build", ROOT / "out", ROOT / ".git")
        paths = [p for p in ROOT.rglob("*") if not any(p.is_relative_to(folder) for folder in built)]
    return sorted(p for p in paths if p.is_file())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str | None:
    """None for binary files."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


class Structure(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = checkout()
        if len(cls.files) < 20:
            raise RuntimeError(f"expected a checkout in {ROOT}, found {len(cls.files)} files")

    def lines(self, suffixes):
        for path in self.files:
            if path.suffix in suffixes and (text := text_of(path)) is not None:
                for number, line in enumerate(text.splitlines(), 1):
                    yield name_of(path), number, line

    def no_findings(self, findings):
        """Every finding is "file:line: what was expected and found"."""
        if found := list(findings):
            self.fail("\n" + "\n".join(found))

    def test_folders_include_only_what_they_may(self):
        def findings():
            for name, number, line in self.lines(CODE):
                room = name.split("/")[0]
                included = re.match(r'\s*#include "([^"]+)"', line)
                if room not in MAY_INCLUDE or not included:
                    continue
                target = included.group(1).split("/")[0]
                of_tests = target == "tests" and name.endswith("_test.cpp")
                if target not in MAY_INCLUDE[room] and not of_tests:
                    yield f"{name}:{number}: {room} may include {sorted(MAY_INCLUDE[room])}, found {included.group(1)}"

        self.no_findings(findings())

    def test_no_suite_includes_another(self):
        def findings():
            for name, number, line in self.lines(CODE):
                included = re.match(r'\s*#include "suites/([^/"]+)/', line)
                if included and name.startswith("suites/") and name.split("/")[1] != included.group(1):
                    yield f"{name}:{number}: found {line.strip()}"

        self.no_findings(findings())

    def test_torch_is_seen_only_in_its_rooms(self):
        self.no_findings(
            f"{name}:{number}: torch belongs in {TORCH_ROOMS}, found {line.strip()}"
            for name, number, line in self.lines(CODE)
            if TORCH_INCLUDE.search(line) and not name.startswith(TORCH_ROOMS)
        )

    def test_device_code_knows_no_torch(self):
        self.no_findings(
            f"{name}:{number}: found {line.strip()}"
            for name, number, line in self.lines({".cu", ".cuh"})
            if TORCH_INCLUDE.search(line)
        )

    def test_files_stay_short(self):
        def findings():
            for path in self.files:
                limit = LONG_FILES.get(name_of(path), MAX_LINES)
                if path.suffix in SOURCES and (lines := len(text_of(path).splitlines())) > limit:
                    yield f"{name_of(path)}: expected at most {limit} lines, found {lines}"

        self.no_findings(findings())

    def test_every_source_starts_with_its_licence(self):
        self.no_findings(
            f"{name_of(path)}: expected 'SPDX-License-Identifier: Apache-2.0' in the first three lines"
            for path in self.files
            if path.suffix in CODE | {".py", ".sh"}
            and "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text_of(path).splitlines()[:3])
        )

    def test_headers_are_guarded(self):
        self.no_findings(
            f"{name_of(path)}: expected '#pragma once'"
            for path in self.files
            if path.suffix in {".hpp", ".cuh"}
            and not name_of(path).endswith("-inl.hpp")
            and "#pragma once" not in text_of(path)
        )

    def test_no_file_names_a_machine(self):
        """Absolute folders of one machine, its registries' hosts."""
        words = [re.escape(str(ROOT)) + "/", r"/root/", r"/home/[a-z]", r"/Users/[A-Za-z]", r"\.pyenv", r"pypi\.org", r"pythonhosted"]
        machine = re.compile("|".join(words))
        this = name_of(Path(__file__).resolve())

        def findings():
            for path in self.files:
                text = text_of(path)
                if text is None or name_of(path) == this:
                    continue
                for number, line in enumerate(text.splitlines(), 1):
                    if found := machine.search(line):
                        yield f"{name_of(path)}:{number}: found {found.group(0)}"

        self.no_findings(findings())

    def test_scripts_are_clean(self):
        scripts = [p for p in self.files if p.suffix == ".sh" or name_of(p) == ".ci/run"]
        for script in scripts:
            subprocess.run(["bash", "-n", str(script)], check=True)
        if not shutil.which("shellcheck"):
            self.skipTest("no shellcheck on PATH; ci/bootstrap.sh installs it")
        shellcheck = ["shellcheck", "-x", "-P", "SCRIPTDIR", *map(str, scripts)]
        result = subprocess.run(shellcheck, capture_output=True, text=True)
        self.assertEqual(0, result.returncode, result.stdout)


if __name__ == "__main__":
    unittest.main()
