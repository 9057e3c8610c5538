// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/program_source.hpp"

#include <stdexcept>

#include "kernels/attention/device/params.hpp"

namespace assay::kernels::attention {
namespace {

const char* yes_or_no(bool value) {
  return value ? "true" : "false";
}

std::string constant(const char* name, int value) {
  return std::string("  static constexpr int ") + name + " = " + std::to_string(value) + ";\n";
}

/// Structure `name` of one kernel's tiles.
std::string tiling_source(const char* name, const Tiling& t) {
  return std::string("struct ") + name + " : Setup {\n" + constant("kTileQ", t.tile_q) +
         constant("kTileK", t.tile_k) + constant("kWarps", t.warps) + constant("kStages", t.stages) +
         constant("kBlocksPerMultiprocessor", t.blocks_per_multiprocessor) +
         "  static constexpr bool kTurns = " + yes_or_no(t.turns) + ";\n};\n";
}

/// The mods are members of a class, so that their names meet nobody else's.
std::string setup_source(const Mods& mods, const HeadType& head) {
  std::string text =
      "#include \"kernels/attention/device/mods.cuh\"\n"
      "namespace assay::kernels::attention::device {\n"
      "struct UserMods {\n";
  for (const auto& [name, mod] : texts_of(mods)) text += "#line 1 \"" + name + "\"\n" + mod + "\n";
  text += "#line 1 \"generated\"\n};\nstruct Setup {\n";
  text +=
      std::string("  using Element = ") + (head.type == ElementType::kFloat16 ? "Half" : "Bfloat16") + ";\n";
  text += "  using Mods = UserMods;\n" + constant("kHeadSize", head.head_size);
  text += constant("kLearnable", mods.learnable);
  text += std::string("  static constexpr bool kHasScore = ") + yes_or_no(!mods.score_mod.empty()) +
          ", kHasMask = " + yes_or_no(!mods.mask_mod.empty()) +
          ", kHasDerivative = " + yes_or_no(!mods.score_mod_derivative.empty()) + ";\n};\n";
  return text;
}

std::string same_bytes(const char* kernel, int bytes) {
  return std::string("static_assert(") + kernel + "::kSharedBytes == " + std::to_string(bytes) +
         ", \"launcher and kernel agree about shared memory\");\n";
}

constexpr const char* kEnd = "}  // namespace\n";
constexpr const char* kReopen = "namespace assay::kernels::attention::device {\n";

}  // namespace

void validate(const Mods& mods) {
  if (mods.learnable < 0 || mods.learnable > kMaxLearnable)
    throw std::invalid_argument("attention mods: expected 0 to " + std::to_string(kMaxLearnable) +
                                " learnable buffers, found " + std::to_string(mods.learnable));
  if (mods.score_mod.empty() && (mods.learnable > 0 || !mods.score_mod_derivative.empty()))
    throw std::invalid_argument(
        "attention mods: expected a score_mod beside learnable buffers or a derivative, found none");
  if (mods.learnable > 0 && !mods.score_mod_derivative.empty())
    throw std::invalid_argument(
        "attention mods: expected no score_mod_derivative where buffers are learnable (dual numbers give "
        "both "
        "derivatives), found both");
}

std::map<std::string, std::string> texts_of(const Mods& mods) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, text] :
       {std::pair{"score_mod", &mods.score_mod}, std::pair{"mask_mod", &mods.mask_mod},
        std::pair{"score_mod_derivative", &mods.score_mod_derivative}})
    if (!text->empty())
      texts[name] = *text;
  return texts;
}

std::string forward_source(const Mods& mods, const HeadType& head, const Tilings& tilings) {
  const bool hopper = tilings.forward.hopper;
  return setup_source(mods, head) + tiling_source("ForwardSetup", tilings.forward) + kEnd +
         "#include \"kernels/attention/device/entries_block_mask.cuh\"\n" +
         (hopper ? "#include \"kernels/attention/device/entries_forward_hopper.cuh\"\n"
                 : "#include \"kernels/attention/device/entries_forward.cuh\"\n") +
         kReopen +
         same_bytes(hopper ? "ForwardHopper<ForwardSetup>" : "Forward<ForwardSetup>",
                    forward_shared_bytes(tilings.forward, head.head_size)) +
         kEnd;
}

std::string backward_source(const Mods& mods, const HeadType& head, const Tilings& tilings) {
  const bool hopper = tilings.backward_keys.hopper;
  return setup_source(mods, head) + tiling_source("KeysSetup", tilings.backward_keys) +
         tiling_source("QueriesSetup", tilings.backward_queries) + kEnd +
         "#include \"kernels/attention/device/entries_backward.cuh\"\n" +
         (hopper ? "#include \"kernels/attention/device/entries_backward_hopper.cuh\"\n"
                 : "#include \"kernels/attention/device/entries_backward_mma.cuh\"\n") +
         kReopen +
         same_bytes(hopper ? "BackwardKeysHopper<KeysSetup>" : "BackwardKeys<KeysSetup>",
                    backward_keys_shared_bytes(tilings.backward_keys, head.head_size)) +
         same_bytes(hopper ? "BackwardQueriesHopper<QueriesSetup>" : "BackwardQueries<QueriesSetup>",
                    backward_queries_shared_bytes(tilings.backward_queries, head.head_size)) +
         kEnd;
}

}  // namespace assay::kernels::attention
