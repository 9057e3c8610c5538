// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/tensor_map.hpp"

#include <cstring>

#include "kernels/common/driver.hpp"

namespace assay::kernels::attention {

TensorMap tensor_map(const View& view, const HeadType& head, int heads, const Sequences& sequences, int rows,
                     int box_rows, const char* name) {
  static_assert(sizeof(TensorMap) == sizeof(CUtensorMap));
  const bool one =
      sequences.packed() || sequences.sequences == 1;  // its stride is never walked, but must be one
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(head.head_size), static_cast<cuuint64_t>(heads),
                              static_cast<cuuint64_t>(rows),
                              one ? 1 : static_cast<cuuint64_t>(sequences.sequences)};
  const auto bytes = [](long long stride) { return static_cast<cuuint64_t>(stride) * 2; };
  const cuuint64_t strides[] = {bytes(heads == 1 ? head.head_size : view.head_stride),
                                bytes(rows == 1 ? head.head_size : view.token_stride),
                                bytes(one ? head.head_size : view.sequence_stride)};
  const cuuint32_t box[] = {64, 1, static_cast<cuuint32_t>(box_rows), 1}, steps[] = {1, 1, 1, 1};
  CUtensorMap map{};
  driver().check(
      driver().tensor_map_encode_tiled(&map,
                                       head.type == ElementType::kFloat16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                                                          : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                                       4, view.data, sizes, strides, box, steps,
                                       CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                       CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
      std::string("attention tensor ") + name, "describing it to the copy engine");
  TensorMap result;
  std::memcpy(&result, &map, sizeof result);
  return result;
}

}  // namespace assay::kernels::attention
