// SPDX-License-Identifier: Apache-2.0
#include "harness/door/protocol.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace assay::harness::door {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShown = 160;  // characters of a line that is no answer

Json attributes_json(const std::map<std::string, Attribute>& attributes) {
  Json out = Json::object();
  for (const auto& [name, value] : attributes)
    std::visit([&](const auto& alternative) { out[name] = alternative; }, value);
  return out;
}

/// `offset` and `bytes` are the payload's: what lies around it is nobody's.
Json tensors_json(const Specs& specs) {
  const Layout layout = layout_of(specs);
  Json out = Json::array();
  const auto add = [&](const TensorSpec& spec, const char* role) {
    const TensorView view{spec.name, nullptr, spec.dtype, spec.shape};
    out.push_back({{"name", spec.name},
                   {"role", role},
                   {"dtype", name_of(spec.dtype)},
                   {"shape", spec.shape},
                   {"offset", layout.payloads[out.size()]},
                   {"bytes", view.bytes()}});
  };
  for (const TensorSpec& spec : specs.inputs) add(spec, "input");
  for (const TensorSpec& spec : specs.outputs) add(spec, "output");
  return out;
}

void put_opening(Json& line, const Opening& opening) {
  line["protocol"] = kProtocol;
  line["challenge"] = opening.challenge;
  line["case"] = opening.case_name;
  line["device"] = name_of(opening.device);
  line["attributes"] = attributes_json(opening.attributes);
  line["tensors"] = tensors_json(opening.specs);
  line["sets"] = opening.files;
}

Opening opening_of(const Json& line) {
  if (line.at("protocol").get<int>() != kProtocol)
    throw std::runtime_error(
        fmt::format("expected protocol {}, found {}", kProtocol, line.at("protocol").dump()));
  Opening out;
  out.challenge = line.at("challenge").get<std::string>();
  out.case_name = line.at("case").get<std::string>();
  out.device = line.at("device").get<std::string>() == "cuda" ? DeviceKind::kCuda : DeviceKind::kCpu;
  for (const Json& tensor : line.at("tensors")) {
    auto& specs = tensor.at("role").get<std::string>() == "input" ? out.specs.inputs : out.specs.outputs;
    specs.push_back({tensor.at("name").get<std::string>(),
                     dtype_from_name(tensor.at("dtype").get<std::string>()),
                     tensor.at("shape").get<std::vector<std::int64_t>>()});
  }
  out.files = line.at("sets").get<std::vector<std::string>>();
  return out;
}

Outcome not_an_answer(const std::string& line, const Request& request) {
  std::string shown = line.substr(0, kShown);
  for (char& c : shown)
    c = static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
  return Failed{
      fmt::format(R"(protocol: expected the answer to "{}" {}, found "{}")", request.op, request.id, shown)};
}

std::string text_at(const Json& line, const char* name) {
  return line.contains(name) && line[name].is_string() ? line[name].get<std::string>() : std::string();
}

std::optional<Outcome> outcome_of(const Json& line) {
  const std::string outcome = text_at(line, "outcome"), given = text_at(line, "reason");
  const std::string reason = given.empty() ? "it gave no reason" : given;
  if (outcome == "skipped")
    return Skipped{reason};
  if (outcome == "out_of_memory")
    return OutOfMemoryOutcome{reason};
  if (outcome == "failed")
    return Failed{reason};
  if (outcome == "wrong")
    return Wrong{text_at(line, "check"), reason, std::nullopt};
  return std::nullopt;
}

}  // namespace

std::string request_line(const Request& request) {
  Json line = {{"id", request.id}, {"op", request.op}};
  if (request.opening)
    put_opening(line, *request.opening);
  else if (request.op == "run")
    line["first"] = request.first, line["count"] = request.count;
  else if (request.op != "verify")
    line["set"] = request.set;
  return line.dump();
}

Request parse_request(const std::string& text) {
  try {
    const Json line = Json::parse(text);
    Request request{
        line.at("id").get<std::string>(), line.at("op").get<std::string>(), 0, 0, 0, std::nullopt};
    if (request.op == "open")
      request.opening = opening_of(line);
    request.set = line.value("set", std::int64_t{0});
    request.first = line.value("first", std::int64_t{0});
    request.count = line.value("count", std::int64_t{0});
    return request;
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(std::string("expected a request, found ") + error.what());
  }
}

std::string answer_line(const std::string& id) {
  return Json{{"id", id}, {"ok", true}}.dump();
}

std::string answer_line(const std::string& id, const Outcome& outcome) {
  Json line = {{"id", id}, {"outcome", outcome_name(outcome)}};
  const auto* wrong = std::get_if<Wrong>(&outcome);
  line["reason"] = wrong != nullptr ? wrong->reason : outcome_reason(outcome);
  if (wrong != nullptr)
    line["check"] = wrong->check;
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Outcome> parse_answer(const std::string& text, const Request& request) {
  const Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!line.is_object() || text_at(line, "id") != request.id)
    return not_an_answer(text, request);
  if (line.contains("ok") && line["ok"] == true)
    return std::nullopt;
  if (auto outcome = outcome_of(line))
    return outcome;
  return not_an_answer(text, request);
}

}  // namespace assay::harness::door
