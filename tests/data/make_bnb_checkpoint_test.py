#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ci/make_bnb_checkpoint.py: same tensors as Linear4bit saves; bad input leaves a message and no file. Run by pytest."""

import importlib.util
import pathlib
import sys

import pytest
import torch
from safetensors.torch import load_file

DATA = pathlib.Path(__file__).parent
DENSE = (DATA / "dense.safetensors").read_bytes()
SCRIPT = DATA.parent.parent / "ci" / "make_bnb_checkpoint.py"


@pytest.fixture
def convert(monkeypatch):
    """Runs the script's main with the given arguments in this process: torch is imported once for all tests."""
    spec = importlib.util.spec_from_file_location("make_bnb_checkpoint", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec.loader.exec_module(script)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        return script.main()

    return run


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.view(torch.uint8), b.view(torch.uint8))


@pytest.mark.parametrize("quant_type", ["nf4", "fp4"])
def test_result_is_what_linear4bit_saves(tmp_path, convert, quant_type):
    out = tmp_path / "out.safetensors"
    options = ["--single-level", "--quant-type", quant_type, "--keep", r"(embed_tokens|_proj)\.weight$"]
    assert convert(DATA / "dense.safetensors", out, *options) == 0
    found, expected = load_file(out), load_file(DATA / f"dense_{quant_type}.safetensors")
    assert found.keys() == expected.keys()
    assert [name for name in expected if not same(found[name], expected[name])] == []


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("empty.safetensors", b"", [], "expected a safetensors file"),
        ("noise.safetensors", b"\x07" * 64, [], "expected a safetensors file"),
        ("whole.safetensors", DENSE, ["--keep", "no_such_layer"], "expected a matrix"),
        ("cut.safetensors", DENSE[:-9], [], "expected a safetensors file"),
    ],
)
def test_bad_input_says_why_and_leaves_nothing(tmp_path, convert, capsys, name, content, options, message):
    (tmp_path / name).write_bytes(content)
    assert convert(tmp_path / name, tmp_path / "out.safetensors", *options) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_output_folder_that_is_missing_is_named(tmp_path, convert, capsys):
    assert convert(DATA / "dense.safetensors", tmp_path / "missing" / "out.safetensors") == 2
    assert "missing" in capsys.readouterr().err
