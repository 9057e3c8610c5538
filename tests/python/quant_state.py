# SPDX-License-Identifier: Apache-2.0
"""From a bitsandbytes QuantState to the arguments of torch.ops.assay.nf4_dequantize, and back: copy this into your code.

    weight = torch.ops.assay.nf4_dequantize(*dequantize_arguments(packed, state), **dequantize_options(state))
"""


def dequantize_arguments(packed, state):
    return packed, state.absmax, state.shape, state.dtype


def dequantize_options(state):
    options = {"block_size": state.blocksize, "quant_type": state.quant_type}
    if state.state2 is not None:
        options |= {"nested_absmax": state.state2.absmax, "nested_code": state.state2.code,
                    "nested_offset": state.offset, "nested_block_size": state.state2.blocksize}
    return options


def quant_state(weight, quantized, block_size=64, quant_type="nf4"):
    """The QuantState for what torch.ops.assay.nf4_quantize(weight, …) returned."""
    from bitsandbytes.functional import QuantState, get_4bit_type

    _, absmax, nested_absmax, nested_code, nested_offset = quantized
    second = {}
    if nested_absmax.numel():
        second = {"offset": nested_offset, "state2": QuantState(absmax=nested_absmax, code=nested_code, blocksize=256,
                                                                dtype=nested_absmax.dtype)}
    return QuantState(absmax=absmax, shape=weight.shape, dtype=weight.dtype, blocksize=block_size, quant_type=quant_type,
                      code=get_4bit_type(quant_type, device=weight.device), **second)
