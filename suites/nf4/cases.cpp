// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/cases.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "harness/core/registry.hpp"
#include "suites/nf4/checkpoint.hpp"
#include "suites/nf4/python_packages.hpp"
#include "suites/nf4/suite.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::Case;
using harness::DeviceKind;
using harness::Dtype;

constexpr std::int64_t kMeasuredFrom = 1 << 20;  // weights; below it a launch takes longer than the work

std::string axes(const DequantizeCase& c) {
  std::string name = fmt::format("{}x{}/{}", c.rows, c.cols, harness::name_of(c.dtype));
  if (c.block_size != 64)
    name += fmt::format("/block{}", c.block_size);
  if (!c.nested)
    name += "/single";
  if (c.fp4)
    name += "/fp4";
  return name;
}

Case random_case(const DequantizeCase& c, std::uint64_t seed) {
  Case out;
  out.name = fmt::format("{}/seed{}", axes(c), seed);
  out.parameters = c;
  out.seed = seed;
  return out;
}

Case measured(std::int64_t rows, std::int64_t cols, Dtype dtype, std::uint64_t seed) {
  return random_case({.rows = rows, .cols = cols, .dtype = dtype}, seed);
}

/// Shapes and dtypes that a CPU's figures would only repeat, each call taking a tenth of a second there.
Case on_gpu(Case which) {
  which.devices = {DeviceKind::kCuda};
  return which;
}

Case edge(const DequantizeCase& c, std::uint64_t seed) {
  Case out = random_case(c, seed);
  out.measured = false;
  out.quick = true;
  return out;
}

/// More weights than a 32-bit count holds, and not a multiple of anything: 4.3 GB of output.
Case beyond_32_bits() {
  Case out = random_case({.rows = 1, .cols = (std::int64_t{1} << 31) + 64, .dtype = Dtype::kBfloat16}, 1);
  out.measured = false;
  out.on_request = true;
  out.devices = {DeviceKind::kCuda};
  return out;
}

void add_edges(std::vector<Case>& cases) {
  const Dtype types[] = {Dtype::kFloat16, Dtype::kBfloat16, Dtype::kFloat32};
  std::uint64_t seed = 1;
  for (const std::int64_t length : {1, 2, 63, 65, 127, 1000, 16385}) {
    cases.push_back(edge({.rows = 1, .cols = length, .dtype = types[seed % 3]}, seed));
    ++seed;
  }
  for (const std::int32_t block : {32, 128, 256, 512, 1024, 2048, 4096}) {
    cases.push_back(edge({.rows = 3, .cols = 43691, .dtype = types[seed % 3], .block_size = block}, seed));
    ++seed;
  }
  for (const Dtype type : types) {
    cases.push_back(edge({.rows = 300, .cols = 257, .dtype = type}, seed++));
    cases.push_back(edge({.rows = 300, .cols = 257, .dtype = type, .nested = false}, seed++));
    cases.push_back(edge({.rows = 300, .cols = 257, .dtype = type, .fp4 = true}, seed++));
    cases.push_back(edge(
        {.rows = 129, .cols = 513, .dtype = type, .block_size = 128, .nested = false, .fp4 = true}, seed++));
  }
}

/// Of the checkpoint at `path`: every matrix is judged; those large enough to time are timed too.
void add_real(const std::filesystem::path& path, std::vector<Case>& cases) {
  const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(path));
  for (const WeightSource& source : checkpoint->weights()) {
    auto weights = std::make_shared<const RealWeights>(
        [checkpoint, name = source.name] { return checkpoint->load(name); });
    DequantizeCase c{.rows = source.rows, .cols = source.cols, .dtype = Dtype::kBfloat16};
    if (source.dtype == kernels::nf4::ScalarType::kFloat16)
      c.dtype = Dtype::kFloat16;
    if (source.quantized_on_disk) {  // what is on disk decides; 16- and 32-bit ones get the defaults when
                                     // they are read
      const HostWeights& stored = weights->get();
      c.block_size = stored.block_size;
      c.nested = stored.nested();
      c.fp4 = stored.codebook == kernels::nf4::Codebook::kFp4;
    }
    c.weights = weights;
    Case out;
    out.name = fmt::format("{}/{}", axes(c), source.name);
    out.parameters = c;
    out.measured = source.rows * source.cols >= kMeasuredFrom;
    out.source = path.filename().string();
    cases.push_back(std::move(out));
  }
}

}  // namespace

std::vector<Case> dequantize_cases() {
  std::vector<Case> cases = {
      // The puzzle's options: gate and up are [m, hd]; down has as many weights.
      measured(8192, 2048, Dtype::kFloat16, 3407),        measured(4096, 1024, Dtype::kBfloat16, 3409),
      measured(14336, 4096, Dtype::kBfloat16, 3408),      measured(2048, 8192, Dtype::kBfloat16, 1),
      on_gpu(measured(1024, 4096, Dtype::kBfloat16, 1)),  on_gpu(measured(1024, 4096, Dtype::kFloat16, 1)),
      on_gpu(measured(4096, 14336, Dtype::kBfloat16, 1)), on_gpu(measured(4096, 14336, Dtype::kFloat16, 1)),
      on_gpu(measured(4096, 14336, Dtype::kFloat32, 1)),  on_gpu(measured(8192, 28672, Dtype::kBfloat16, 1)),
      on_gpu(measured(8192, 28672, Dtype::kFloat16, 1)),
  };
  add_edges(cases);
  cases.push_back(beyond_32_bits());
  const std::string weights = harness::Registry::instance().option("weights");
  if (!weights.empty()) {
    add_real(weights, cases);
  } else if (const auto model = small_model()) {
    add_real(*model, cases);
  }
  return cases;
}

}  // namespace assay::suites::nf4
