// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/row_selection.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/sum.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/util/Exception.h>

namespace assay::kernels::backprop {
namespace {

bool capturing(at::Device device) {
  return device.is_cuda() &&
         c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None;
}

void check_counts(const at::Tensor& counts, std::int64_t num_rows, at::Device device) {
  TORCH_CHECK_VALUE(counts.scalar_type() == at::kBool && counts.dim() == 1 && counts.size(0) == num_rows,
                    "expected counts as bool [", num_rows, "], found ", counts.scalar_type(), " ",
                    counts.sizes());
  TORCH_CHECK_VALUE(counts.is_cpu() || counts.device() == device, "expected counts on the CPU or on ", device,
                    ", found ", counts.device());
}

}  // namespace

RowSelection::RowSelection(const at::Tensor& counts, bool wait_for_count, std::int64_t num_rows,
                           at::Device device)
    : count_(num_rows), device_(device) {
  if (!counts.defined())
    return;
  check_counts(counts, num_rows, device);
  if (!counts.is_cpu() && !wait_for_count) {
    mask_ = counts;
    return;
  }
  TORCH_CHECK(
      !capturing(device),
      "expected counts on the GPU and wait_for_count off inside a CUDA graph capture: counting rows on the "
      "host, or copying them, cannot be captured");
  const at::Tensor index = at::nonzero(counts).squeeze(1);
  count_ = index.size(0);
  if (count_ < num_rows)
    index_ = index.to(device);
}

at::Tensor RowSelection::take(const at::Tensor& rows, std::int64_t begin, std::int64_t length) const {
  if (drops())
    return at::index_select(rows, 0, index_.narrow(0, begin, length));
  return rows.narrow(0, begin, length);
}

void RowSelection::put(at::Tensor& rows, const at::Tensor& part, std::int64_t begin,
                       std::int64_t length) const {
  if (drops()) {
    rows.index_copy_(0, index_.narrow(0, begin, length), part.to(rows.scalar_type()));
  } else {
    rows.narrow(0, begin, length).copy_(part);
  }
}

at::Tensor RowSelection::number(at::ScalarType type) const {
  if (masks())
    return at::sum(mask_, type);
  return at::full({}, static_cast<double>(count_), at::TensorOptions().dtype(type).device(device_));
}

}  // namespace assay::kernels::backprop
