# SPDX-License-Identifier: Apache-2.0
"""nf4/dequantize from outside, as a Triton kernel on a GPU. One program decodes BLOCK packed bytes.

    assay run nf4/dequantize --device cuda --candidate 'cmd:python3 docs/examples/nf4_candidate_triton.py' --out r.jsonl

torch only holds the device's copies of the sets. A window of calls is one CUDA graph, as launching from Python takes longer
than the kernel.
"""

import assay_candidate

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    torch, missing = None, f"needs torch and triton: {error}"
else:
    missing = "" if torch.cuda.is_available() else "needs a GPU: torch finds none"

if missing:
    def prepare(case):
        raise assay_candidate.Skip(missing)

    assay_candidate.serve({"nf4/dequantize": prepare})  # does not return

NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
TORCH = {"u8": torch.uint8, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
BLOCK = 1024


@triton.jit
def multiply(x, y):
    """Never fused into an fma."""
    return tl.inline_asm_elementwise("mul.rn.f32 $0, $1, $2;", "=f,f,f", [x, y], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def dequantize(packed, absmax, nested_absmax, nested_code, nested_offset, table, out, count, block_size, nested_block_size,
               NESTED: tl.constexpr, BLOCK: tl.constexpr):
    byte = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = 2 * byte < count
    bits = tl.load(packed + byte, mask=inside, other=0).to(tl.int32)
    block = 2 * byte // block_size  # both weights of a byte, as block sizes are even
    if NESTED:
        code = tl.load(absmax + block, mask=inside, other=0).to(tl.int32)
        scale = tl.load(nested_absmax + block // nested_block_size, mask=inside, other=0)
        a = multiply(tl.load(nested_code + code), scale) + tl.load(nested_offset)
    else:
        a = tl.load(absmax + block, mask=inside, other=0)
    high = multiply(tl.load(table + (bits >> 4)), a).to(out.dtype.element_ty)
    low = multiply(tl.load(table + (bits & 15)), a).to(out.dtype.element_ty)
    tl.store(out + 2 * byte, high, mask=inside)
    tl.store(out + 2 * byte + 1, low, mask=2 * byte + 1 < count)


def host(tensor):
    """A tensor's host memory, which the judge sees."""
    return torch.frombuffer(tensor.memory, dtype=TORCH[tensor.dtype])


class OnDevice(assay_candidate.Calls):
    """Twins of the sets on the device; a window of calls is one graph."""

    def __init__(self, case, call):
        super().__init__(case, call)
        self.twins = [tuple({name: host(t).cuda() for name, t in side.items()} for side in pair) for pair in case.sets]
        self.graphs = {}
        self.run(0, 1)  # compiles, which no graph can hold

    def _pairs(self, index):
        for side, twins in zip(self.case.sets[index], self.twins[index]):
            for name, tensor in side.items():
                yield host(tensor), twins[name]

    def load(self, index):
        for memory, twin in self._pairs(index):
            twin.copy_(memory)
        torch.cuda.synchronize()

    def store(self, index):
        torch.cuda.synchronize()
        for memory, twin in self._pairs(index):
            memory.copy_(twin)

    def _calls(self, first, count):
        for i in range(count):
            self.call(*self.twins[(first + i) % len(self.twins)])

    def run(self, first, count):
        if count <= 1:
            self._calls(first, count)
        else:
            if (first, count) not in self.graphs:
                graph = self.graphs[first, count] = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    self._calls(first, count)
            self.graphs[first, count].replay()
        torch.cuda.synchronize()


def prepare(case):
    a = case.attributes
    if case.device != "cuda" or a["codebook"] != "nf4":
        raise assay_candidate.Skip("only NF4 on a GPU")
    count, table = a["rows"] * a["cols"], torch.tensor(NF4, device="cuda")

    def call(inputs, outputs):
        absmax = inputs["absmax_codes" if a["nested"] else "absmax"]
        nested = [inputs.get(name, absmax) for name in ("nested_absmax", "nested_code", "nested_offset")]
        dequantize[(triton.cdiv(count, 2 * BLOCK),)](
            inputs["packed"], absmax, *nested, table, outputs["weight"], count, a["block_size"], a["nested_block_size"],
            NESTED=a["nested"], BLOCK=BLOCK)

    return OnDevice(case, call)


assay_candidate.serve({"nf4/dequantize": prepare})
