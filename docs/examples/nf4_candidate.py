# SPDX-License-Identifier: Apache-2.0
"""nf4/dequantize from outside, in numpy on the CPU.

    assay run nf4/dequantize --device cpu --candidate 'cmd:python3 docs/examples/nf4_candidate.py' --out r.jsonl
"""

import assay_candidate
import numpy as np

NF4 = np.array(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
     -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
     0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], np.float32)

# numpy has no bf16: its bits are the upper half of an f32's.
NUMPY = {"u8": np.uint8, "f32": np.float32, "f16": np.float16, "bf16": np.uint16}


def array(tensor):
    return np.frombuffer(tensor.memory, NUMPY[tensor.dtype])


def to_bf16(values):
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def absmax_of(inputs, nested, nested_block_size):
    if not nested:
        return array(inputs["absmax"])
    codes = array(inputs["absmax_codes"])
    scale = np.repeat(array(inputs["nested_absmax"]), nested_block_size)[: codes.size]
    return array(inputs["nested_code"])[codes] * scale + array(inputs["nested_offset"])[0]  # two roundings to f32


def dequantize(case):
    a = case.attributes
    if case.device != "cpu" or a["codebook"] != "nf4":
        raise assay_candidate.Skip("only NF4 on the CPU")
    count = a["rows"] * a["cols"]

    def call(inputs, outputs):
        packed = array(inputs["packed"])
        nibbles = np.empty(packed.size * 2, np.uint8)
        nibbles[0::2], nibbles[1::2] = packed >> 4, packed & 15
        absmax = absmax_of(inputs, a["nested"], a["nested_block_size"])
        weights = NF4[nibbles[:count]] * np.repeat(absmax, a["block_size"])[:count]
        array(outputs["weight"])[:] = to_bf16(weights) if a["out_dtype"] == "bf16" else weights

    return call


if __name__ == "__main__":
    assay_candidate.serve({"nf4/dequantize": dequantize})
