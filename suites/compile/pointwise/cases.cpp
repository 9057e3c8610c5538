// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include "suites/compile/pointwise/suite.hpp"

namespace assay::suites::compile {
namespace {

using harness::Case;
using harness::DeviceKind;
using harness::Dtype;

constexpr Dtype kDtypes[] = {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16};

/// n, the piece's widths, dtype, fwd or bwd, then what else is not the default.
std::string axes(const PointwiseCase& c) {
  std::ostringstream name;
  name << 'n' << c.tokens;
  if (c.piece == Piece::kRope)
    name << "/h" << c.heads << "kv" << c.kv_heads << 'd' << c.head_dim;
  else
    name << (c.piece == Piece::kRmsNorm ? "/h" : "/i") << c.width;
  name << '/' << harness::name_of(c.dtype) << (c.backward ? "/bwd" : "/fwd");
  for (const auto& [present, axis] :
       {std::pair(c.residual, "residual"), std::pair(c.trains_weight, "dw"), std::pair(c.packed, "packed"),
        std::pair(c.halves, "halves"), std::pair(c.again, "again")}) {
    if (present)
      name << '/' << axis;
  }
  return name.str();
}

Case named(const PointwiseCase& c, std::uint64_t seed) {
  Case out;
  out.name = axes(c);
  out.parameters = c;
  out.seed = seed;
  return out;
}

Case quick(const PointwiseCase& c) {
  Case out = named(c, 11);
  out.quick = true;
  out.measured = false;
  return out;
}

Case measured(DeviceKind device, const PointwiseCase& c) {
  Case out = named(c, 3407);
  out.devices = {device};
  return out;
}

/// Whole vectors and odd widths, both directions, in every dtype.
void add_quick(Piece piece, std::vector<Case>& cases) {
  for (const Dtype dtype : kDtypes) {
    for (const bool backward : {false, true}) {
      PointwiseCase c{.piece = piece, .tokens = 150, .dtype = dtype, .backward = backward};
      switch (piece) {
        case Piece::kRmsNorm:
          for (const std::int64_t hidden : {256, 203}) {
            c.width = hidden;
            c.residual = c.trains_weight = false;
            cases.push_back(quick(c));
            c.residual = true, c.trains_weight = backward;
            cases.push_back(quick(c));
          }
          break;
        case Piece::kRope:
          c.heads = 4, c.kv_heads = 2, c.head_dim = 64;
          cases.push_back(quick(c));
          c.packed = true, c.heads = 3, c.kv_heads = 1, c.head_dim = 34;
          cases.push_back(quick(c));
          break;
        case Piece::kSwiglu:
          for (const std::int64_t intermediate : {512, 331}) {
            c.width = intermediate;
            c.halves = c.again = false;
            cases.push_back(quick(c));
            c.halves = true, c.again = backward;
            cases.push_back(quick(c));
          }
      }
    }
  }
}

/// Layers of Llama 3.2 1B (8192 tokens) and Llama 3.1 8B (4096).
std::vector<PointwiseCase> layers_of(Piece piece, bool backward, Dtype dtype) {
  PointwiseCase small{.piece = piece, .tokens = 8192, .dtype = dtype, .backward = backward}, large = small;
  large.tokens = 4096;
  switch (piece) {
    case Piece::kRmsNorm:
      small.width = 2048, large.width = 4096;
      break;
    case Piece::kRope:
      small.heads = large.heads = 32, small.kv_heads = large.kv_heads = 8;
      small.head_dim = 64, large.head_dim = 128;
      break;
    case Piece::kSwiglu:
      small.width = 8192, large.width = 14336;
  }
  return {small, large};
}

/// The plain form, and what a QLoRA step runs where that is another one.
void add_measured(Piece piece, std::vector<Case>& cases) {
  for (const bool backward : {false, true}) {
    for (const Dtype dtype : {Dtype::kBfloat16, Dtype::kFloat16}) {
      for (PointwiseCase c : layers_of(piece, backward, dtype)) {
        cases.push_back(measured(DeviceKind::kCuda, c));
        c.residual = piece == Piece::kRmsNorm;
        c.packed = piece == Piece::kRope;
        c.halves = piece == Piece::kSwiglu;
        c.again = c.halves && backward;
        if (dtype == Dtype::kBfloat16)
          cases.push_back(measured(DeviceKind::kCuda, c));
      }
    }
    PointwiseCase on_cpu = layers_of(piece, backward, Dtype::kFloat32).front();
    on_cpu.tokens = 256;
    cases.push_back(measured(DeviceKind::kCpu, on_cpu));
    on_cpu.dtype = Dtype::kBfloat16;
    cases.push_back(measured(DeviceKind::kCpu, on_cpu));
  }
  if (piece == Piece::kRmsNorm) {
    PointwiseCase trained = layers_of(piece, true, Dtype::kBfloat16).back();
    trained.trains_weight = true;
    cases.push_back(measured(DeviceKind::kCuda, trained));
  }
}

}  // namespace

std::vector<Case> cases_of(Piece piece) {
  std::vector<Case> cases;
  add_quick(piece, cases);
  add_measured(piece, cases);
  return cases;
}

}  // namespace assay::suites::compile
