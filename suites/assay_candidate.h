/* SPDX-License-Identifier: Apache-2.0
 * What a shared library exports to be judged: assay verify|bench|run FILTER --candidate FILE.so
 * Plain C, no dependencies. How it is judged and how rows end: docs/candidates.md. Worked through:
 * docs/examples/nf4_candidate.c.
 *
 * Each row (case, device) is judged in a process of its own, which loads the library once and calls it many
 * times, with the same pointers and changed contents too. A call must
 *   - read the inputs as they are now, change none of them, and write every element of the outputs and
 *     nothing else;
 *   - give the same bits for the same inputs;
 *   - CPU: be done when it returns. Threads may be kept for the next call, but may not touch the tensors in
 *     between;
 *   - CUDA: enqueue all its work on `stream` and not wait for the device. Calls are captured in CUDA graphs
 *     and replayed, so what a stream cannot do while it is captured (allocate, synchronise) no call can do.
 */
#ifndef ASSAY_CANDIDATE_H
#define ASSAY_CANDIDATE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a struct or a meaning below changes; a library of another version is refused. */
#define ASSAY_CANDIDATE_ABI_VERSION 1

/* What a call returns. */
#define ASSAY_OK 0
#define ASSAY_UNSUPPORTED 1   /* not this device, dtype, block size, …: the row is skipped */
#define ASSAY_OUT_OF_MEMORY 2 /* the row ends as out_of_memory */
#define ASSAY_ERROR 3         /* this and every other value: the row fails */

/* Values of `device`: where every pointer of the struct but `stream` points to. */
#define ASSAY_CPU 0
#define ASSAY_CUDA 1

/* Values of `out_dtype`. */
#define ASSAY_F32 0
#define ASSAY_F16 1
#define ASSAY_BF16 2

/* Values of `codebook`: the 16 numbers that a nibble stands for, as bitsandbytes has them. */
#define ASSAY_NF4 0
#define ASSAY_FP4 1

/* nf4/dequantize: 4-bit weights to numbers. Weight i, row-major, is a nibble of packed[i / 2], the high one
 * for even i. With b = i / block_size,
 *   single level:  a[b] = absmax[b]
 *   nested:        a[b] = fl(fl(nested_code[absmax_codes[b]] * nested_absmax[b / nested_block_size])
 *                            + nested_offset[0])
 *   out[i] = round(code[nibble i] * a[b])
 * fl rounds to f32, so no fused multiply-add; round goes to out_dtype; both to nearest even. Parity is
 * equality of bits. */
typedef struct AssayNf4Args {
  uint32_t struct_bytes; /* sizeof(AssayNf4Args) of the caller */
  int32_t device;
  void* stream; /* cudaStream_t, never the default stream; CPU: null */

  const uint8_t* packed; /* [ceil(rows * cols / 2)] */
  int64_t rows, cols;    /* 1 or more; their product may pass 2^31 */
  int32_t block_size;    /* weights per absmax: a power of two, 32 to 4096; the last block may be short */
  int32_t codebook;

  const float* absmax; /* single level: [blocks], blocks = ceil(rows * cols / block_size); nested: null */

  const uint8_t* absmax_codes; /* nested: [blocks]; single level: null, as the three below */
  const float* nested_absmax;  /* [ceil(blocks / nested_block_size)] */
  const float* nested_code;    /* [256] */
  const float* nested_offset;  /* [1] */
  int32_t nested_block_size;   /* 256 */

  int32_t out_dtype;
  void* out; /* [rows, cols] of out_dtype, row-major, aligned to 256 bytes */
} AssayNf4Args;

/* Required: returns ASSAY_CANDIDATE_ABI_VERSION. */
int32_t assay_candidate_abi_version(void);

/* Optional: why the last call did not return ASSAY_OK, in words; valid until the next call. */
const char* assay_candidate_error(void);

/* One per challenge, all optional: rows of a challenge that the library does not export are skipped. */
int32_t assay_nf4_dequantize(const AssayNf4Args* args);

#ifdef __cplusplus
}
#endif

#endif
