/* SPDX-License-Identifier: Apache-2.0
 * nf4/dequantize from outside, in plain C on the CPU: the formula of assay_candidate.h, one loop.
 *
 *   cc -O2 -shared -fPIC -ffp-contract=off -I INCLUDE nf4_candidate.c -o nf4_candidate.so
 *   assay run nf4/dequantize --device cpu --candidate ./nf4_candidate.so --out r.jsonl
 *
 * -ffp-contract=off: each product and sum is rounded by itself, which a fused multiply-add would not do.
 */
#include <assay_candidate.h>
#include <string.h>

static const float kNf4[16] = {-1.0f,
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
                               1.0f};

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* To nearest, ties to even: add just under half of the last place that stays, and one more where that place
 * is odd. */
static uint16_t to_bf16(float value) {
  const uint32_t bits = bits_of(value);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Numbers under 2^-14 have no leading one in f16: they count units of 2^-24. */
static uint16_t to_f16(float value) {
  const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x477ff000) /* rounds to 65536 or more */
    return (uint16_t)(sign | 0x7c00);
  if (magnitude < 0x38800000) {
    float units;
    memcpy(&units, &magnitude, sizeof units);
    units += 0.5f; /* the last place of numbers in [0.5, 1) is 2^-24: the sum is rounded there */
    return (uint16_t)(sign | (bits_of(units) - 0x3f000000));
  }
  return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13));
}

static float absmax_of(const AssayNf4Args* a, int64_t block) {
  if (a->absmax != 0)
    return a->absmax[block];
  const float product =
      a->nested_code[a->absmax_codes[block]] * a->nested_absmax[block / a->nested_block_size];
  return product + a->nested_offset[0];
}

int32_t assay_candidate_abi_version(void) {
  return ASSAY_CANDIDATE_ABI_VERSION;
}

static const char* error = 0;
const char* assay_candidate_error(void) {
  return error;
}

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  if (a->device != ASSAY_CPU || a->codebook != ASSAY_NF4) {
    error = "only NF4 on the CPU";
    return ASSAY_UNSUPPORTED;
  }
  const int64_t count = a->rows * a->cols;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t byte = a->packed[i / 2];
    const float weight = kNf4[i % 2 == 0 ? byte >> 4 : byte & 15] * absmax_of(a, i / a->block_size);
    if (a->out_dtype == ASSAY_F32)
      ((float*)a->out)[i] = weight;
    else
      ((uint16_t*)a->out)[i] = a->out_dtype == ASSAY_F16 ? to_f16(weight) : to_bf16(weight);
  }
  return ASSAY_OK;
}
