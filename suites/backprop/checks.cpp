// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/checks.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/sin.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <nlohmann/json.hpp>
#include <set>

#include "harness/core/registry.hpp"
#include "suites/backprop/floor_check.hpp"
#include "suites/backprop/memory_efficient_loss.hpp"
#include "suites/backprop/text.hpp"
#include "suites/backprop/training_check.hpp"

namespace assay::suites::backprop {
namespace {

namespace ours = kernels::backprop;
using at::Tensor;
using harness::DeviceFacts;
using harness::Dtype;
using json = nlohmann::ordered_json;

[[noreturn]] void wrong(const std::string& reason) {
  throw std::runtime_error(reason);
}

/// Random tensors of a plain case on the device that is judged; the set owns them.
struct Problem {
  BackpropCase c;
  harness::TensorSet inputs;
  CaseTensors tensors;

  Problem(Dtype dtype, const DeviceFacts& facts)
      : c{.rows = 150, .hidden = 40, .vocab = 203, .dtype = dtype, .ignored = Ignored::kSome},
        inputs(made(c).copy_to(facts.kind)),
        tensors(tensors_of(c, inputs)) {}

 private:
  static harness::TensorSet made(const BackpropCase& c) {
    harness::Case which;
    which.parameters = c;
    return make_inputs(which, 23);
  }
};

double relative(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  return ((x - y).norm() / y.norm()).item<double>();
}

/// The user's function sees f32 logits in every chunk of 16-bit hidden states.
std::string f32_upcast(const DeviceFacts& facts) {
  json evidence{{"upcast_in_every_chunk", true}, {"chunks", 0}, {"hidden", json::array()}};
  for (const Dtype dtype : {Dtype::kFloat16, Dtype::kBfloat16}) {
    const Problem problem(dtype, facts);
    std::vector<std::string> seen;
    const ours::RowFunction record = [&](const ours::Chunk& chunk) {
      seen.push_back(c10::toString(chunk.logits.scalar_type()));
      return chunk.logits.square().sum(1);
    };
    ours::MemoryEfficientOptions options;
    options.chunks.rows = 64;
    loss_and_gradients(problem.c, problem.tensors, [&](const BackpropCase&, const CaseTensors& t) {
      return ours::memory_efficient_linear(t.hidden, linear_head(t), record, {}, {}, options);
    });
    if (seen.size() < 3)
      wrong(text("expected 3 chunks of 150 rows, found ", seen.size()));
    for (const std::string& type : seen) {
      if (type != "Float")
        wrong("expected f32 logits in every chunk, found " + type);
    }
    evidence["chunks"] = evidence["chunks"].get<int>() + static_cast<int>(seen.size());
    evidence["hidden"].push_back(harness::name_of(dtype));
  }
  evidence["logits"] = "f32";
  return evidence.dump();
}

/// A step that autograd alone can know: forward is the identity, backward multiplies by a factor nobody could
/// derive.
struct Probe : ::torch::autograd::Function<Probe> {
  static constexpr double kFactor = -2.5;
  static inline int backward_calls = 0;
  static Tensor forward(::torch::autograd::AutogradContext*, const Tensor& x) { return x.clone(); }
  static ::torch::autograd::variable_list backward(::torch::autograd::AutogradContext*,
                                                   const ::torch::autograd::variable_list& upstream) {
    ++backward_calls;
    return {upstream[0] * kFactor};
  }
};

/// A function that no library has heard of.
Tensor unheard_of(const Tensor& logits) {
  return (at::sin(logits * 1.3) * at::arange(logits.size(1), logits.options()).mul(0.01)).sum(1);
}

/// Gradients come out of autograd through the user's function: a backward planted in it is called in every
/// chunk, and what it does shows in dX and dW.
std::string gradients_from_autograd(const DeviceFacts& facts) {
  Problem problem(Dtype::kFloat32, facts);
  problem.tensors = in_f64(problem.tensors);
  ours::MemoryEfficientOptions options;
  options.chunks.rows = 64;
  options.reduction = ours::Reduction::kSum;
  Probe::backward_calls = 0;
  const auto chunked =
      loss_and_gradients(problem.c, problem.tensors, [&](const BackpropCase&, const CaseTensors& t) {
        return ours::memory_efficient_linear(
            t.hidden, linear_head(t),
            [](const ours::Chunk& chunk) { return unheard_of(Probe::apply(chunk.logits)); }, {}, {}, options);
      });
  const int calls = Probe::backward_calls;
  const auto plain =
      loss_and_gradients(problem.c, problem.tensors, [](const BackpropCase&, const CaseTensors& t) {
        return unheard_of(reference::backprop::eager::logits(t.hidden, eager_head(t))).sum();
      });
  const double loss = relative(chunked[0], plain[0]);
  const double dx = relative(chunked[1], plain[1] * Probe::kFactor),
               dw = relative(chunked[2], plain[2] * Probe::kFactor);
  const json evidence{{"backward_calls", calls},       {"chunks", 3},      {"planted_factor", Probe::kFactor},
                      {"loss_rel_err", loss},          {"dx_rel_err", dx}, {"dw_rel_err", dw},
                      {"through_autograd", calls == 3}};
  if (calls != 3 || !(loss <= 1e-12 && dx <= 1e-12 && dw <= 1e-12))
    wrong("expected 3 calls of the planted backward and gradients that follow it, found " + evidence.dump());
  return evidence.dump();
}

/// One choice of chunks: the rows of the chunks it gave, and how far loss and gradients are from the
/// unchunked ones.
struct Tried {
  std::vector<std::int64_t> rows;
  double worst = 0.0;
};

Tried try_choice(const Problem& problem, const ours::ChunkChoice& choice, const std::vector<Tensor>& plain) {
  Tried tried;
  ours::MemoryEfficientOptions options;
  options.chunks = choice;
  options.reduction = ours::Reduction::kSum;
  const auto out =
      loss_and_gradients(problem.c, problem.tensors, [&](const BackpropCase&, const CaseTensors& t) {
        return ours::memory_efficient_linear(
            t.hidden, linear_head(t),
            [&](const ours::Chunk& chunk) {
              tried.rows.push_back(chunk.logits.size(0));
              return unheard_of(chunk.logits);
            },
            {}, {}, options);
      });
  for (std::size_t i = 0; i < out.size(); ++i)
    tried.worst = std::max(tried.worst, relative(out[i], plain[i]));
  return tried;
}

/// Chunks by rows, by bytes and by free memory: each cuts as it says, and the result is the same.
std::string dynamic_chunk_sizes(const DeviceFacts& facts) {
  Problem problem(Dtype::kFloat32, facts);
  problem.tensors = in_f64(problem.tensors);
  const auto plain =
      loss_and_gradients(problem.c, problem.tensors, [](const BackpropCase&, const CaseTensors& t) {
        return unheard_of(reference::backprop::eager::logits(t.hidden, eager_head(t))).sum();
      });
  json evidence{{"choices", json::array()}};
  std::set<std::int64_t> sizes;
  double worst = 0.0;
  const auto judge = [&](const std::string& name, const ours::ChunkChoice& choice,
                         std::int64_t expected_rows) {
    const Tried tried = try_choice(problem, choice, plain);
    const std::int64_t first = tried.rows.front();
    std::int64_t total = 0;
    for (const std::int64_t rows : tried.rows) total += rows;
    if (total != problem.c.rows || (expected_rows > 0 && first != expected_rows))
      wrong(text(name, ": expected chunks of ", expected_rows, " rows, ", problem.c.rows, " in all, found ",
                 first, " and ", total));
    if (!(tried.worst <= 1e-12))
      wrong(text(name, ": expected the result of one chunk, relative error ", tried.worst));
    worst = std::max(worst, tried.worst);
    sizes.insert(first);
    evidence["choices"].push_back(text(name, ": ", tried.rows.size(), " chunks of ", first));
    return first;
  };
  for (const std::int64_t rows : {1, 7, 64, 149, 150, 4000})
    judge(text("rows ", rows), {.rows = rows, .bytes = {}}, std::min<std::int64_t>(rows, problem.c.rows));
  judge("1 byte", {.rows = {}, .bytes = 1}, 1);
  const std::int64_t small = judge("64 KiB", {.rows = {}, .bytes = 1 << 16}, 0);
  const std::int64_t large = judge("256 KiB", {.rows = {}, .bytes = 1 << 18}, 0);
  if (!(small > 1 && small < large && large < problem.c.rows))
    wrong(
        text("expected more rows for more bytes, found ", small, " for 64 KiB and ", large, " for 256 KiB"));
  const auto of_free = [&](double share, std::int64_t expected_rows) {
    return judge(text("share ", share, " of free memory"),
                 {.rows = {}, .bytes = {}, .free_memory_share = share}, expected_rows);
  };
  of_free(1e-8, 1);  // of 100 GB less than one row's 3 KB
  if (of_free(0.25, 0) <= 1)
    wrong("expected more rows for a quarter of the free memory than for nearly none of it");
  evidence["by_rows"] = evidence["by_bytes"] = evidence["by_free_memory"] = true;
  evidence["different_sizes"] = sizes.size();
  evidence["largest_rel_err"] = worst;
  return evidence.dump();
}

}  // namespace

std::vector<harness::Challenge::SuiteCheck> checks_of(LossKind loss) {
  if (loss != LossKind::kCrossEntropy)
    return {};
  return {
      {"f32_upcast", false, "memory_efficient", f32_upcast},
      {"gradients_from_autograd", false, "memory_efficient", gradients_from_autograd},
      {"dynamic_chunk_sizes", false, "memory_efficient", dynamic_chunk_sizes},
      llama_training_check(),
      products_floor_check(),
  };
}

}  // namespace assay::suites::backprop
