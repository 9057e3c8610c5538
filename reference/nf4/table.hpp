// SPDX-License-Identifier: Apache-2.0
// The two 4-bit code tables and the numbers next to them, written out a second time on purpose: an oracle
// that shared a table with the accused could not see a wrong one. Source: bitsandbytes 0.50, functional.py
// get_4bit_type (values), backends/default/ops.py _get_4bit_quantize_bounds (CPU decision bounds),
// csrc/kernels.cu dQuantizeNF4, dQuantizeFP4 (CUDA decision bounds; bits read from the sm_90 code of the
// 0.50.2 wheel).
#pragma once

namespace assay::reference::nf4 {

inline constexpr float kNf4Code[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

/// {0, 0.0625, 8, 12, 4, 6, 2, 3} / 12, then the same with the sign bit set. Code 8 is -0 as on CUDA (code 0
/// times -1); bitsandbytes' CPU path makes it +0 or -0 depending on the shape, which no one table can follow.
inline constexpr float kFp4Code[16] = {
    0.0f,  0.0625f / 12,  8.0f / 12,  1.0f,  4.0f / 12,  0.5f,  2.0f / 12,  0.25f,
    -0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -0.5f, -2.0f / 12, -0.25f,
};

/// FP4 codes in ascending order of value, as torch.argsort leaves the two zeros (0 before 8).
inline constexpr unsigned char kFp4Ascending[16] = {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3};

/// CUDA decides NF4 code i + 1 against i by `x > kNf4CudaBound[i]`. Four of them (0, 8, 12, 14) are one unit
/// in the last place away from the midpoint (code[i] + code[i + 1]) / 2 in f32, which is what the CPU path
/// compares with.
inline constexpr float kNf4CudaBound[15] = {
    -0.8480964004993439f,  -0.6106329262256622f,  -0.4599952697753906f,   -0.33967943489551544f,
    -0.23460740596055984f, -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f,
    0.1202552504837513f,   0.2035212516784668f,   0.2920137718319893f,    0.3893125355243683f,
    0.5016634166240692f,   0.6427869200706482f,   0.8614784181118011f,
};

/// CUDA picks the FP4 magnitude kFp4CudaMagnitude[k] for the number k of these bounds that |x| exceeds; sign
/// x < 0.
inline constexpr float kFp4CudaBound[7] = {0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f,
                                           0.4166667f,  0.583333f,  0.8333333f};
inline constexpr unsigned char kFp4CudaMagnitude[8] = {0, 1, 6, 7, 4, 5, 2, 3};

}  // namespace assay::reference::nf4
