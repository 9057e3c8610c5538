// SPDX-License-Identifier: Apache-2.0
// A group that counts what it passes on to another, whatever that one's transport is; wrong groups derive
// from it.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <vector>

#include "suites/fsdp/training/run_plan.hpp"

namespace assay::suites::fsdp {

class CountedGroup : public c10d::Backend {
 public:
  explicit CountedGroup(c10::intrusive_ptr<c10d::Backend> inner)
      : Backend(inner->getRank(), inner->getSize()), inner_(std::move(inner)) {}

  using WorkPtr = c10::intrusive_ptr<c10d::Work>;
  using Tensors = std::vector<at::Tensor>;
  const std::string getBackendName() const override { return inner_->getBackendName(); }
  WorkPtr allreduce(Tensors& tensors, const c10d::AllreduceOptions& options) override {
    ++counts_.all_reduces;
    return inner_->allreduce(tensors, options);
  }
  WorkPtr _allgather_base(at::Tensor& output, at::Tensor& input,
                          const c10d::AllgatherOptions& options) override {
    ++counts_.all_gathers;
    return inner_->_allgather_base(output, input, options);
  }
  WorkPtr _reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                               const c10d::ReduceScatterOptions& options) override {
    ++counts_.reduce_scatters;
    return inner_->_reduce_scatter_base(output, input, options);
  }
  WorkPtr barrier(const c10d::BarrierOptions& options) override {
    ++counts_.others;
    return inner_->barrier(options);
  }

  void shutdown() override { inner_->shutdown(); }

  const Collectives& counts() const { return counts_; }

 protected:
  c10::intrusive_ptr<c10d::Backend> inner_;
  Collectives counts_;  ///< layer_gathers stays 0: whose group it is its owner knows
};

}  // namespace assay::suites::fsdp
