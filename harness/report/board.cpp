// SPDX-License-Identifier: Apache-2.0
// Groups the newest evidence by device and challenge and lets the rubrics decide.
#include "harness/report/board.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "harness/report/environment.hpp"
#include "harness/report/newest.hpp"

namespace assay::harness::report {
namespace {

void sort_rows(ChallengeBoard& challenge) {
  std::map<std::string, std::size_t> position;
  for (const Row& row : challenge.rows) {
    if (position.try_emplace(row.record.case_name, challenge.cases.size()).second) {
      challenge.cases.push_back(row.record.case_name);
    }
  }
  std::stable_sort(challenge.rows.begin(), challenge.rows.end(), [&](const Row& a, const Row& b) {
    const auto key = [&](const Row& row) {
      return std::tuple(position.at(row.record.case_name), rank_of(row.record.role),
                        row.record.implementation);
    };
    return key(a) < key(b);
  });
}

ChallengeBoard& challenge_of(DeviceBoard& device, const Record& record) {
  for (ChallengeBoard& challenge : device.challenges) {
    if (challenge.challenge == record.challenge) {
      return challenge;
    }
  }
  device.challenges.push_back(
      {.suite = record.suite, .challenge = record.challenge, .cases = {}, .rows = {}});
  return device.challenges.back();
}

bool without_device(const Check& check) {
  return check.device.name.empty() && check.device.arch.empty();
}

/// Devices in order of first appearance, GPUs before CPUs.
std::vector<DeviceInfo> devices_of(const RecordFile& file) {
  std::vector<DeviceInfo> devices;
  const auto add = [&](const DeviceInfo& device) {
    const bool known = std::any_of(devices.begin(), devices.end(),
                                   [&](const DeviceInfo& d) { return device_key(d) == device_key(device); });
    if (!known) {
      devices.push_back(device);
    }
  };
  for (const Record& record : file.records) {
    add(record.device);
  }
  for (const Check& check : file.checks) {
    if (!without_device(check)) {
      add(check.device);
    }
  }
  std::stable_partition(devices.begin(), devices.end(),
                        [](const DeviceInfo& d) { return d.kind == DeviceKind::kCuda; });
  return devices;
}

DeviceBoard device_board(const DeviceInfo& device, const RecordFile& file, const CurrentSources& current) {
  DeviceBoard board;
  board.device = device;
  std::vector<Record> records;
  for (const Record& record : file.records) {
    if (device_key(record.device) == device_key(device)) {
      records.push_back(record);
      challenge_of(board, record).rows.push_back({record, is_stale(record, current)});
    }
  }
  for (const Check& check : file.checks) {
    if (without_device(check) || device_key(check.device) == device_key(device)) {
      board.checks.push_back(check);
    }
  }
  for (ChallengeBoard& challenge : board.challenges) {
    sort_rows(challenge);
  }
  board.environment = environment_of(records, board.checks);
  board.ceilings = ceilings_of(board.checks);
  return board;
}

/// Evidence of one device and of every CPU (static facts and the checker's selftest need no GPU).
RecordFile evidence_for(const DeviceInfo& device, const RecordFile& file) {
  const auto counts = [&](const DeviceInfo& of) {
    return of.kind == DeviceKind::kCpu || device_key(of) == device_key(device);
  };
  RecordFile result;
  std::copy_if(file.records.begin(), file.records.end(), std::back_inserter(result.records),
               [&](const Record& record) { return counts(record.device); });
  std::copy_if(file.checks.begin(), file.checks.end(), std::back_inserter(result.checks),
               [&](const Check& check) { return counts(check.device); });
  return result;
}

RubricBoard decide(const Rubric& rubric, const std::string& device, const RecordFile& evidence,
                   const CurrentSources& current) {
  RubricBoard board{.suite = rubric.suite, .title = rubric.title, .device = device, .lines = {}};
  for (const RubricLine& line : rubric.lines) {
    board.lines.emplace_back(&line, line.decide(evidence, current));
    board.total += board.lines.back().second.points;
    board.possible += std::max(line.points, 0);
  }
  return board;
}

std::vector<RubricBoard> decide_all(const Rubric& rubric, const RecordFile& file,
                                    const CurrentSources& current) {
  std::set<std::pair<std::string, std::string>> ran_on;
  for (const Record& record : file.records) {
    if (record.suite == rubric.suite) {
      ran_on.insert(device_key(record.device));
    }
  }
  const bool of_checks_alone = ran_on.empty();
  for (const Check& check : file.checks) {
    if (of_checks_alone && check.suite == rubric.suite && !without_device(check)) {
      ran_on.insert(device_key(check.device));
    }
  }
  std::vector<RubricBoard> boards;
  std::string cpus;
  for (const DeviceInfo& device : devices_of(file)) {
    if (ran_on.count(device_key(device)) == 0) {
      continue;
    }
    if (device.kind == DeviceKind::kCuda) {
      boards.push_back(decide(rubric, device.name, evidence_for(device, file), current));
    } else {
      cpus += (cpus.empty() ? "" : ", ") + device.name;
    }
  }
  if (boards.empty()) {
    boards.push_back(
        decide(rubric, cpus.empty() ? "no device" : cpus, evidence_for(DeviceInfo{}, file), current));
  }
  return boards;
}

}  // namespace

Board make_board(const RecordFile& file, const std::vector<Rubric>& rubrics, const CurrentSources& current) {
  const RecordFile latest = newest(file);
  Board board;
  board.records = file.records.size();
  board.checks = file.checks.size();
  for (const Rubric& rubric : rubrics) {
    for (RubricBoard& decided : decide_all(rubric, latest, current)) {
      board.rubrics.push_back(std::move(decided));
    }
  }
  const std::vector<History> all = histories(file);
  for (const DeviceInfo& device : devices_of(latest)) {
    board.devices.push_back(device_board(device, latest, current));
    std::copy_if(all.begin(), all.end(), std::back_inserter(board.devices.back().histories),
                 [&](const History& history) { return device_key(history.device) == device_key(device); });
  }
  return board;
}

}  // namespace assay::harness::report
