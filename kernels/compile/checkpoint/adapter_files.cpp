// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/adapter_files.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/compile/checkpoint/elements.hpp"
#include "kernels/compile/checkpoint/json_object.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";

/// What reads the same input shares a buffer of A (step_program.hpp).
const std::map<std::string, std::vector<std::string>> kGroups = {
    {"qkv", {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}},
    {"o", {"self_attn.o_proj"}},
    {"gate_up", {"mlp.gate_proj", "mlp.up_proj"}},
    {"down", {"mlp.down_proj"}}};

template <class Visit>
void for_each_adapter(const Program& program, const Visit& visit) {
  for (const Buffer& buffer : program.buffers)
    if (buffer.role == Role::kAdapter)
      visit(buffer);
}

class NewAdapters final : public AdapterSource {
 public:
  NewAdapters(std::set<std::string> targeted, std::uint64_t seed)
      : targeted_(std::move(targeted)), random_(seed) {}

  std::vector<float> values(const Buffer& buffer) override {
    std::vector<float> all;
    for (const AdapterPart& part : parts_of_adapter(buffer)) {
      const std::int64_t count = part.rows * part.columns;
      if (part.is_a && targeted_.contains(part.linear)) {
        const auto bound = static_cast<float>(1.0 / std::sqrt(static_cast<double>(part.columns)));
        const std::vector<float> drawn = random_.draw(count, -bound, bound);
        all.insert(all.end(), drawn.begin(), drawn.end());
      } else {
        all.insert(all.end(), static_cast<std::size_t>(count), 0.0f);
      }
    }
    return all;
  }

 private:
  std::set<std::string> targeted_;
  TorchUniform random_;
};

class StoredAdapters final : public AdapterSource {
 public:
  StoredAdapters(const std::filesystem::path& folder, std::set<std::string> targeted, const Program& program)
      : targeted_(std::move(targeted)), file_(folder / kTensorFile) {
    try {
      check(program);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(file_.path().string() + ": " + error.what());
    }
  }

  std::vector<float> values(const Buffer& buffer) override {
    std::vector<float> all;
    for (const AdapterPart& part : parts_of_adapter(buffer)) {
      const auto count = static_cast<std::size_t>(part.rows * part.columns);
      all.resize(all.size() + count);
      if (!targeted_.contains(part.linear))
        continue;
      const StoredTensor& tensor = file_.tensors().at(part.key());
      const std::span<std::byte> memory = std::as_writable_bytes(std::span(all).last(count));
      file_.read(part.key(), memory.last(tensor.bytes));
      const ElementType type = *element_type(tensor.type);
      convert(memory, static_cast<std::int64_t>(count), type, ElementType::kFloat32);
      if (first_not_finite(memory, ElementType::kFloat32) >= 0)
        throw std::invalid_argument(file_.path().string() + ": expected finite values in '" + part.key() +
                                    "', found NaN or infinity");
    }
    return all;
  }

 private:
  void check(const Program& program) const {
    std::set<std::string> expected;
    for_each_adapter(program, [&](const Buffer& buffer) {
      for (const AdapterPart& part : parts_of_adapter(buffer))
        if (targeted_.contains(part.linear)) {
          require(part);
          expected.insert(part.key());
        }
    });
    for (const auto& [name, tensor] : file_.tensors())
      if (!expected.contains(name))
        throw std::invalid_argument("expected tensors of the configured adapter alone, found '" + name +
                                    "' as well");
  }

  void require(const AdapterPart& part) const {
    const auto found = file_.tensors().find(part.key());
    if (found == file_.tensors().end())
      throw std::invalid_argument("expected the tensor '" + part.key() + "', found none of that name");
    const std::vector<std::int64_t> shape = {part.rows, part.columns};
    if (!element_type(found->second.type) || found->second.shape != shape)
      throw std::invalid_argument("'" + part.key() + "': expected F32, F16 or BF16 [" +
                                  std::to_string(part.rows) + ", " + std::to_string(part.columns) +
                                  "], found " + text_of(found->second));
  }

  std::set<std::string> targeted_;
  StoredFile file_;
};

}  // namespace

std::string AdapterPart::key() const {
  return "base_model.model." + linear + (is_a ? ".lora_A.weight" : ".lora_B.weight");
}

std::vector<AdapterPart> parts_of_adapter(const Buffer& buffer) {
  // layers.I.WHAT.lora_A or layers.I.WHAT.lora_B
  const std::size_t side = buffer.name.rfind('.');
  const std::size_t what = side == std::string::npos ? side : buffer.name.rfind('.', side - 1);
  if (what == std::string::npos || !buffer.name.starts_with("layers."))
    throw std::logic_error("expected an adapter of a layer, found '" + buffer.name + "'");
  const std::string layer = "model." + buffer.name.substr(0, what + 1);
  const std::string of = buffer.name.substr(what + 1, side - what - 1);
  std::vector<AdapterPart> parts;
  if (buffer.name.ends_with(".lora_A")) {
    const std::vector<std::string>& members = kGroups.at(of);
    const std::int64_t rank = buffer.rows / std::ssize(members);
    for (const std::string& member : members) parts.push_back({layer + member, true, rank, buffer.columns});
    return parts;
  }
  for (const std::string& linear : kLinearsOfLayer)
    if (linear.ends_with("." + of))
      parts.push_back({layer + linear, false, buffer.rows, buffer.columns});
  if (parts.empty())
    throw std::logic_error("expected an adapter of a known linear, found '" + buffer.name + "'");
  return parts;
}

LoraSettings read_adapter_settings(const std::filesystem::path& folder) {
  const std::string text = read_text(folder / kConfigFile);
  try {
    return parse_adapter_config(text);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument((folder / kConfigFile).string() + ": " + error.what());
  }
}

std::unique_ptr<AdapterSource> new_adapters(std::set<std::string> targeted, std::uint64_t seed) {
  return std::make_unique<NewAdapters>(std::move(targeted), seed);
}

std::unique_ptr<AdapterSource> stored_adapters(const std::filesystem::path& folder,
                                               std::set<std::string> targeted, const Program& program) {
  return std::make_unique<StoredAdapters>(folder, std::move(targeted), program);
}

void write_adapters(const std::filesystem::path& folder, const AdapterDescription& adapter,
                    const Program& program,
                    const std::function<std::vector<float>(const std::string& buffer)>& values) {
  std::map<std::string, TensorToStore> tensors;
  for_each_adapter(program, [&](const Buffer& buffer) {
    const std::vector<float> all = values(buffer.name);
    if (first_not_finite(std::as_bytes(std::span(all)), ElementType::kFloat32) >= 0)
      throw std::runtime_error("expected finite adapters to write, found NaN or infinity in '" + buffer.name +
                               "'; train with a smaller learning rate, or clip the gradients");
    auto begin = all.begin();
    for (const AdapterPart& part : parts_of_adapter(buffer)) {
      const auto end = begin + part.rows * part.columns;
      if (adapter.targeted.contains(part.linear))
        tensors[part.key()] = {{part.rows, part.columns}, {begin, end}};
      begin = end;
    }
  });
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw std::runtime_error(folder.string() + ": expected to make this folder, found: " + error.message());
  store(folder / kTensorFile, tensors);
  store_text(folder / kConfigFile, adapter_config_text(adapter.settings, adapter.base_model));
}

}  // namespace assay::kernels::compile::checkpoint
