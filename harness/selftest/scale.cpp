// SPDX-License-Identifier: Apache-2.0
// Cases, inputs and oracle of selftest/scale.
#include "harness/selftest/scale.hpp"

#include <random>

#include "harness/verify/ulp.hpp"

namespace assay::harness::selftest {
namespace {

struct ScaleCase {
  std::int64_t rows = 0, cols = 0;
  Dtype dtype = Dtype::kFloat32;
};

Case make_case(std::int64_t rows, std::int64_t cols, Dtype dtype) {
  Case which;
  which.name =
      std::to_string(rows) + "x" + std::to_string(cols) + "/" + std::string(name_of(dtype)) + "/seed1";
  which.parameters = ScaleCase{rows, cols, dtype};
  which.seed = 1;
  which.quick = true;
  which.measured = false;
  return which;
}

const ScaleCase& parameters_of(const Case& which) {
  return std::any_cast<const ScaleCase&>(which.parameters);
}

/// Small x, so that 2x + 1 has bits to lose; a few near -1/2, where `up` is tiny beside its tile.
template <class F>
void fill_random(const TensorView& view, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::int64_t i = 0; i < view.numel(); ++i) {
    const double centered = static_cast<double>(random() >> 11) * 0x1p-52 - 1.0;
    view.as<typename F::Bits>()[i] = encode<F>(i % 97 == 0 ? -0.5 + 0x1p-5 * centered : 0x1p-4 * centered);
  }
}

TensorSet make_inputs(const Case& which, std::uint64_t seed) {
  const ScaleCase& p = parameters_of(which);
  TensorSet inputs(DeviceKind::kCpu);
  const TensorView& x = inputs.add({"x", p.dtype, {p.rows, p.cols}});
  p.dtype == Dtype::kFloat32 ? fill_random<Float32Format>(x, seed) : fill_random<Bfloat16Format>(x, seed);
  return inputs;
}

template <class F>
Oracle oracle_as(const TensorView& x) {
  Oracle oracle;
  oracle.truth = [x](std::string_view output, std::int64_t begin, std::span<double> out) {
    const double slope = output == "up" ? 2.0 : -2.0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = slope * decode<F>(x.as<typename F::Bits>()[begin + i]) + 1.0;
    }
  };
  return oracle;
}

Oracle make_oracle(const Case& which, const TensorSet& inputs) {
  const bool single = parameters_of(which).dtype == Dtype::kFloat32;
  return single ? oracle_as<Float32Format>(inputs.at("x")) : oracle_as<Bfloat16Format>(inputs.at("x"));
}

void append(std::vector<Implementation>& all, std::vector<Implementation> more) {
  for (Implementation& implementation : more) {
    all.push_back(std::move(implementation));
  }
}

}  // namespace

ScaleViews views_of(const TensorSet& inputs, const TensorSet& outputs) {
  return {inputs.at("x"), outputs.at("up"), outputs.at("down")};
}

Implementation right_one(std::string name, DeviceKind device, std::string about) {
  Implementation implementation;
  implementation.name = std::move(name);
  implementation.device = device;
  implementation.about = std::move(about);
  return implementation;
}

Implementation wrong_one(std::string name, DeviceKind device, std::string about, std::string expected_check) {
  Implementation implementation = right_one(std::move(name), device, std::move(about));
  implementation.role = Role::kMutant;
  implementation.expected_check = std::move(expected_check);
  return implementation;
}

Challenge scale_challenge() {
  Challenge challenge;
  challenge.suite = "selftest";
  challenge.name = "selftest/scale";
  challenge.about = "up = 2x + 1, down = 1 - 2x: proves the checks, no kernel";
  challenge.parity = {.exact = false, .k = 1.5, .floor_ulp = 0.0};
  // 300×200: inner, edge and corner tiles; 1×129: one element past a tile.
  challenge.cases = {make_case(300, 200, Dtype::kBfloat16), make_case(300, 200, Dtype::kFloat32),
                     make_case(1, 129, Dtype::kBfloat16)};
  challenge.make_inputs = make_inputs;
  challenge.outputs = [](const Case& which) -> std::vector<TensorSpec> {
    const ScaleCase& p = parameters_of(which);
    return {{"up", p.dtype, {p.rows, p.cols}}, {"down", p.dtype, {p.rows, p.cols}}};
  };
  challenge.oracle = make_oracle;
  challenge.work = [](const Case& which) {
    const ScaleCase& p = parameters_of(which);
    return Work{static_cast<std::int64_t>(3 * p.rows * p.cols * size_of(p.dtype)), 4 * p.rows * p.cols,
                "copy_gbps"};
  };
  append(challenge.implementations, scale_cpu());
  append(challenge.implementations, scale_cuda());
  append(challenge.implementations, scale_cpu_mutants());
  append(challenge.implementations, scale_cuda_mutants());
  return challenge;
}

}  // namespace assay::harness::selftest
