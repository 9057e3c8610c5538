// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/draw.hpp"

#include <cstdio>

namespace assay::kernels::fsdp {
namespace {

using enum ActionKind;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.10g", value);
  return text;
}

/// For JSON and XML both: what either would read as markup is left out of a schedule's name.
std::string plain(const std::string& name) {
  std::string text;
  for (const char c : name)
    if (c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&')
      text += c;
  return text;
}

const char* colour(ActionKind kind) {
  switch (kind) {
    case kForward:
      return "#7aa6da";
    case kRecompute:
      return "#c9b458";
    case kBackward:
    case kBackwardInput:
      return "#d98880";
    case kBackwardWeight:
      return "#8cc084";
    default:
      return "#bbbbbb";
  }
}

}  // namespace

std::string chrome_trace(const Timeline& timeline, const std::string& name, double unit_us) {
  std::string json =
      "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":0,"
      "\"tid\":0,\"args\":{\"name\":\"" +
      plain(name) + "\"}}";
  for (std::size_t rank = 0; rank < timeline.busy.size(); ++rank)
    json += ",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":0,\"tid\":" + std::to_string(rank) +
            ",\"args\":{\"name\":\"rank " + std::to_string(rank) + "\"}}";
  for (const Timed& event : timeline.events) {
    if (is_transfer(event.action.kind) && event.end == event.begin)
      continue;
    json += ",\n{\"ph\":\"X\",\"name\":\"" + text_of(event.action) + "\",\"cat\":\"" +
            (is_transfer(event.action.kind) ? "wait" : "compute") +
            "\",\"pid\":0,\"tid\":" + std::to_string(event.rank) +
            ",\"ts\":" + number(event.begin * unit_us) +
            ",\"dur\":" + number((event.end - event.begin) * unit_us) + "}";
  }
  return json + "\n]}\n";
}

std::string svg(const Timeline& timeline, const std::string& name, int width) {
  constexpr int kRow = 28, kLeft = 60, kTop = 28;
  const int height = kTop + kRow * static_cast<int>(timeline.busy.size()) + 8;
  const double scale = timeline.makespan > 0 ? width / timeline.makespan : 0.0;
  char title[128];
  std::snprintf(title, sizeof(title), ": bubble %.1f %% over ideal, %.1f %% idle",
                100 * timeline.bubble_over_ideal(), 100 * timeline.idle_fraction());
  std::string text = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
                     std::to_string(width + kLeft + 8) + "\" height=\"" + std::to_string(height) +
                     "\" font-family=\"sans-serif\" font-size=\"12\">\n<text x=\"4\" y=\"18\">" +
                     plain(name) + title + "</text>\n";
  for (std::size_t rank = 0; rank < timeline.busy.size(); ++rank)
    text += "<text x=\"4\" y=\"" + std::to_string(kTop + kRow * static_cast<int>(rank) + 18) + "\">rank " +
            std::to_string(rank) + "</text>\n";
  for (const Timed& event : timeline.events) {
    if (is_transfer(event.action.kind) || event.end == event.begin)
      continue;
    const double x = kLeft + event.begin * scale, w = (event.end - event.begin) * scale;
    const int y = kTop + kRow * event.rank;
    text += "<g><title>" + text_of(event.action) + "</title><rect x=\"" + number(x) + "\" y=\"" +
            std::to_string(y) + "\" width=\"" + number(w) + "\" height=\"24\" fill=\"" +
            colour(event.action.kind) + "\" stroke=\"white\"/><text x=\"" + number(x + w / 2) + "\" y=\"" +
            std::to_string(y + 17) + "\" text-anchor=\"middle\">" + std::to_string(event.action.microbatch) +
            "</text></g>\n";
  }
  return text + "</svg>\n";
}

}  // namespace assay::kernels::fsdp
