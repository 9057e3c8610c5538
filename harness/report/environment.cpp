// SPDX-License-Identifier: Apache-2.0
// Facts of a device's runs, newest first where runs differ.
#include "harness/report/environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/report/format.hpp"
#include "harness/report/notes.hpp"

namespace assay::harness::report {
namespace {

using Json = nlohmann::ordered_json;

std::string joined(const std::vector<std::string>& parts, const char* separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

/// Distinct non-empty values, that of the newest record first.
template <class Line>
std::vector<std::string> distinct(std::vector<const Line*> lines,
                                  const std::function<std::string(const Line&)>& value) {
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line* a, const Line* b) { return a->provenance.utc > b->provenance.utc; });
  std::vector<std::string> values;
  for (const Line* line : lines) {
    const std::string found = value(*line);
    if (!found.empty() && std::find(values.begin(), values.end(), found) == values.end()) {
      values.push_back(found);
    }
  }
  return values;
}

std::optional<Json> evidence_of(const std::vector<Check>& checks, std::string_view name) {
  for (const Check& check : checks) {
    if (check.check == name && check.outcome == "passed") {
      return Json::parse(check.evidence_json);
    }
  }
  return std::nullopt;
}

std::optional<double> number_in(const Json& evidence, const char* name) {
  const auto member = evidence.find(name);
  return member != evidence.end() && member->is_number() ? std::optional(member->get<double>())
                                                         : std::nullopt;
}

std::string ceilings_text(const Json& evidence) {
  struct Figure {
    const char* name;
    const char* format;
  };
  constexpr Figure kFigures[] = {{"copy_gbps", "copy {} GB/s"},
                                 {"fill_gbps", "fill {} GB/s"},
                                 {"matmul_bf16_tflops", "bf16 matmul {} TFLOP/s"},
                                 {"matmul_f16_tflops", "f16 matmul {} TFLOP/s"},
                                 {"event_overhead_us", "event pair {} µs"},
                                 {"launch_us", "launch {} µs"}};
  std::vector<std::string> parts;
  for (const Figure& figure : kFigures) {
    if (const auto value = number_in(evidence, figure.name)) {
      parts.push_back(fmt::format(fmt::runtime(figure.format), significant(*value)));
    }
  }
  return joined(parts, ", ");
}

std::string noise_text(const Json& evidence) {
  const auto trials = number_in(evidence, "trials"), resolved = number_in(evidence, "fraction_resolved");
  return trials && resolved ? fmt::format("{:.0f} of {:.0f} same-against-same trials called different",
                                          *resolved * *trials, *trials)
                            : "";
}

std::string detectable_text(const Json& evidence) {
  const auto percent = number_in(evidence, "minimum_detectable_percent");
  return percent ? fmt::format("{:.2f} %", *percent) : "";
}

/// "clocks" as text in any check's evidence, or the fields of the check `clocks`.
std::string clocks_text(const std::vector<Check>& checks) {
  for (const Check& check : checks) {
    const Json evidence = Json::parse(check.evidence_json);
    const auto clocks = evidence.find("clocks");
    if (clocks != evidence.end() && clocks->is_string()) {
      return clocks->get<std::string>();
    }
  }
  for (const Check& check : checks) {
    if (check.check == "clocks") {
      return evidence_text(check);
    }
  }
  return "";
}

/// "209 of 612 timings, mostly: …", a line for each kind of note.
Fact notes_fact(const std::vector<Record>& records) {
  std::vector<std::vector<std::string>> notes;
  for (const Record& record : records) {
    if (const auto* passed = std::get_if<Passed>(&record.outcome)) {
      for (const Timing& timing : passed->timings) {
        notes.push_back(timing.notes);
      }
    }
  }
  const auto noted = std::count_if(notes.begin(), notes.end(), [](const auto& of) { return !of.empty(); });
  Fact fact{.label = "Notes on timings", .value = ""};
  const std::vector<NoteKind> kinds = kinds_of_notes(notes);
  if (!kinds.empty()) {
    fact.value = fmt::format("{} of {}, mostly: {}", noted, plural(notes.size(), "timing", "timings"),
                             kinds.front().text);
  }
  for (const NoteKind& kind : kinds) {
    fact.details.push_back(fmt::format("{} in {}", kind.text, plural(kind.timings, "timing", "timings")));
  }
  return fact;
}

/// "bitsandbytes 0.50.2" of a version that names its package, else the implementation's name before it.
std::string package_of(const std::string& implementation, const std::string& version) {
  return version.find(' ') == std::string::npos ? implementation + " " + version : version;
}

/// Packages once; which peer is of which, a line each.
Fact peers_fact(std::vector<const Record*> records) {
  std::stable_sort(records.begin(), records.end(),
                   [](const Record* a, const Record* b) { return a->provenance.utc > b->provenance.utc; });
  std::set<std::string> packages, lines;
  for (const Record* record : records) {
    if (record->version.empty()) {
      continue;
    }
    lines.insert(record->implementation + ": " + record->version);
    std::string rest = record->version;
    for (std::size_t end = rest.find(", "); end != std::string::npos; end = rest.find(", ")) {
      packages.insert(package_of(record->implementation, rest.substr(0, end)));
      rest = rest.substr(end + 2);
    }
    packages.insert(package_of(record->implementation, rest));
  }
  return {.label = "Peers",
          .value = joined({packages.begin(), packages.end()}, ", "),
          .details = {lines.begin(), lines.end()}};
}

/// The newest value; all of them, newest first, as details where there are more.
Fact newest_fact(const char* label, const std::vector<const Record*>& lines,
                 const std::function<std::string(const Record&)>& value) {
  const std::vector<std::string> values = distinct<Record>(lines, value);
  Fact fact{.label = label, .value = values.empty() ? "" : values.front()};
  if (values.size() > 1) {
    fact.value += fmt::format(" and {} before", values.size() - 1);
    fact.details = values;
  }
  return fact;
}

}  // namespace

std::map<std::string, double> ceilings_of(const std::vector<Check>& checks) {
  std::map<std::string, double> ceilings;
  const Json evidence = evidence_of(checks, "ceilings").value_or(Json::object());
  for (const auto& [name, value] : evidence.items()) {
    if (value.is_number()) {
      ceilings[name] = value.get<double>();
    }
  }
  return ceilings;
}

std::vector<Fact> environment_of(const std::vector<Record>& records, const std::vector<Check>& checks) {
  std::vector<const Record*> lines;
  for (const Record& record : records) {
    lines.push_back(&record);
  }
  std::vector<Fact> facts;
  const auto add_fact = [&](Fact fact) {
    if (!fact.value.empty()) {
      facts.push_back(std::move(fact));
    }
  };
  const auto add = [&](const char* label, const std::string& value) {
    add_fact({.label = label, .value = value});
  };
  const auto add_distinct = [&](const char* label, const std::function<std::string(const Record&)>& value) {
    add(label, joined(distinct<Record>(lines, value), ", "));
  };
  add_distinct("Device", [](const Record& r) {
    const std::string memory = r.device.memory_bytes > 0
                                   ? ", " + bytes_text(static_cast<std::int64_t>(r.device.memory_bytes))
                                   : std::string();
    const std::string count = r.device.count > 1 ? fmt::format("{} × ", r.device.count) : std::string();
    const std::string cores = r.device.kind == DeviceKind::kCpu
                                  ? ", " + plural(static_cast<std::size_t>(r.device.cores), "core", "cores")
                                  : "";
    return fmt::format("{}{} ({}{}{})", count, r.device.name, r.device.arch, memory, cores);
  });
  add_distinct("Driver", [](const Record& r) { return r.device.driver; });
  add_distinct("CUDA", [](const Record& r) { return r.device.cuda_runtime; });
  add_distinct("torch", [](const Record& r) { return r.device.torch; });
  add_fact(peers_fact(lines));
  if (const auto ceilings = evidence_of(checks, "ceilings")) {
    add("Ceilings measured", ceilings_text(*ceilings));
  }
  if (const auto noise = evidence_of(checks, "noise")) {
    add("A/A noise", noise_text(*noise));
    add("Smallest effect resolved", detectable_text(*noise));
  }
  add("Clocks", clocks_text(checks));
  add_fact(notes_fact(records));
  add_distinct("Code ran as", [](const Record& r) {
    return r.target_mode.empty() ? r.target_arch : r.target_arch + " " + r.target_mode;
  });
  add_fact(newest_fact("Commit", lines, [](const Record& r) { return short_commit(r.provenance.commit); }));
  add_fact(newest_fact("Measured", lines, [](const Record& r) { return r.provenance.utc.substr(0, 10); }));
  return facts;
}

}  // namespace assay::harness::report
