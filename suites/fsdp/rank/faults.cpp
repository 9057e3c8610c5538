// SPDX-License-Identifier: Apache-2.0
#include "suites/fsdp/rank/faults.hpp"

#include <algorithm>
#include <stdexcept>

namespace assay::suites::fsdp {
namespace {

/// The reduce-scatter of gradients (one dimension; the vocabulary's states have two) keeps this rank's own.
struct SkippedReduce : CountedGroup {
  using CountedGroup::CountedGroup;
  WorkPtr _reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                               const c10d::ReduceScatterOptions& options) override {
    if (input.dim() > 1)
      return CountedGroup::_reduce_scatter_base(output, input, options);
    ++counts_.reduce_scatters;
    output.copy_(input.chunk(size_)[static_cast<std::size_t>(rank_)]);
    return {};
  }
};

/// From the fourth gather on the buffer keeps what was there.
struct StaleGather : CountedGroup {
  using CountedGroup::CountedGroup;
  WorkPtr _allgather_base(at::Tensor& output, at::Tensor& input,
                          const c10d::AllgatherOptions& options) override {
    if (counts_.all_gathers < 3)
      return CountedGroup::_allgather_base(output, input, options);
    ++counts_.all_gathers;
    return {};
  }
};

/// Every layer is gathered twice.
struct SecondGather : CountedGroup {
  using CountedGroup::CountedGroup;
  WorkPtr _allgather_base(at::Tensor& output, at::Tensor& input,
                          const c10d::AllgatherOptions& options) override {
    if (const WorkPtr first = CountedGroup::_allgather_base(output, input, options))
      first->wait();
    return CountedGroup::_allgather_base(output, input, options);
  }
};

/// The sum of (labels, loss) over ranks as if all had as many labels: the mean of the ranks' means.
struct MeanOfMeans : CountedGroup {
  using CountedGroup::CountedGroup;
  WorkPtr allreduce(Tensors& tensors, const c10d::AllreduceOptions& options) override {
    if (tensors[0].scalar_type() != at::kDouble)
      return CountedGroup::allreduce(tensors, options);
    const double own = std::max(tensors[0][0].item<double>(), 1.0);
    tensors[0][1] /= own;
    if (const WorkPtr sum = CountedGroup::allreduce(tensors, options))
      sum->wait();
    tensors[0][0] = own * size_;
    tensors[0][1] *= own;
    return {};
  }
};

}  // namespace

CountedGroups counted(const c10::intrusive_ptr<c10d::Backend>& gather,
                      const c10::intrusive_ptr<c10d::Backend>& reduce, const std::string& fault) {
  CountedGroups groups{c10::make_intrusive<CountedGroup>(gather), c10::make_intrusive<CountedGroup>(reduce)};
  if (fault == "skipped_reduce")
    groups.reduce = c10::make_intrusive<SkippedReduce>(reduce);
  else if (fault == "mean_of_means")
    groups.reduce = c10::make_intrusive<MeanOfMeans>(reduce);
  else if (fault == "stale_gather")
    groups.gather = c10::make_intrusive<StaleGather>(gather);
  else if (fault == "second_gather")
    groups.gather = c10::make_intrusive<SecondGather>(gather);
  else if (!fault.empty() && fault != "replicated_base" && fault != "forgotten_moments" &&
           fault != "first_batch_again")
    throw std::invalid_argument("expected the name of a fault, found '" + fault + "'");
  return groups;
}

}  // namespace assay::suites::fsdp
