# SPDX-License-Identifier: Apache-2.0
"""The line protocol of docs/candidates.md for candidates in Python: standard library only.

    import assay_candidate

    def dequantize(case):                 # once a row, before its first call
        def call(inputs, outputs):        # dictionaries: tensor name -> Tensor
            ...
        return call

    assay_candidate.serve({"nf4/dequantize": dequantize})

`call` must read the inputs as they are now and be done when it returns. What the program prints goes to stderr.
"""

import json
import mmap
import os
import sys
from dataclasses import dataclass


class Skip(Exception):
    """Raised with the reason by a candidate that does not offer the case: the row is skipped."""


@dataclass
class Tensor:
    name: str
    dtype: str  # "u8", "f16", "bf16", "f32", …
    shape: tuple[int, ...]
    memory: memoryview  # its bytes, shared with the judge


@dataclass
class Case:
    challenge: str
    name: str
    device: str  # "cpu" or "cuda"
    attributes: dict
    sets: list  # pairs of dictionaries, inputs and outputs: tensor name -> Tensor


class Calls:
    """A row's work: one call after another in host memory. Candidates that keep device memory derive from it."""

    def __init__(self, case, call=None):
        self.case, self.call = case, call

    def run(self, first, count):
        """`count` calls on the sets from `first` on, around; returns when all their work has ended."""
        sets = self.case.sets
        for i in range(count):
            self.call(*sets[(first + i) % len(sets)])

    def load(self, index):
        """Device "cuda": inputs and outputs of a set from host memory to the device."""

    def store(self, index):
        """Device "cuda": the device's inputs and outputs of a set to host memory."""


def _map(path, tensors):
    with open(path, "r+b") as file:
        memory = memoryview(mmap.mmap(file.fileno(), 0))
    sides = {"input": {}, "output": {}}
    for t in tensors:
        part = memory[t["offset"] : t["offset"] + t["bytes"]]
        sides[t["role"]][t["name"]] = Tensor(t["name"], t["dtype"], tuple(t["shape"]), part)
    return sides["input"], sides["output"]


def _open(request, challenges):
    if request["challenge"] not in challenges:
        raise Skip(f"only {', '.join(challenges)}")
    sets = [_map(path, request["tensors"]) for path in request["sets"]]
    case = Case(request["challenge"], request["case"], request["device"], request["attributes"], sets)
    made = challenges[case.challenge](case)
    return made if isinstance(made, Calls) else Calls(case, made)


class _Server:
    def __init__(self, challenges):
        self.challenges = challenges
        self.calls = None

    def answer(self, request):
        op = request["op"]
        if op == "open":
            self.calls = _open(request, self.challenges)
        elif op == "run":
            self.calls.run(request["first"], request["count"])
        elif op == "load":
            self.calls.load(request["set"])
        elif op == "store":
            self.calls.store(request["set"])
        else:
            raise ValueError(f"expected open, run, load or store, found {op}")


def serve(challenges):
    """Answers requests until stdin ends. `challenges`: name -> function from a Case to its call, or to Calls."""
    requests, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = _Server(challenges)
    for line in requests:
        request = json.loads(line)
        answer = {"id": request["id"]}
        try:
            server.answer(request)
            answer["ok"] = True
        except Skip as reason:
            answer.update(outcome="skipped", reason=str(reason))
        except MemoryError as error:
            answer.update(outcome="out_of_memory", reason=str(error) or "MemoryError")
        except Exception as error:  # noqa: BLE001 - whatever it is, the judge names it
            answer.update(outcome="failed", reason=f"{type(error).__name__}: {error}")
        print(json.dumps(answer), file=answers, flush=True)
    sys.stderr.flush()
    os._exit(0)
