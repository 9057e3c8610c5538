// SPDX-License-Identifier: Apache-2.0
// The shell as a foreign process.
#include "harness/door/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "harness/door/process_cores.hpp"

namespace assay::harness::door {
namespace {

using testing::HasSubstr;

Process::Command shell(const std::string& text) {
  return {{"/bin/sh", "-c", text}, {}, true};
}

std::string outcome_of(const std::string& text, double limit_s = 20) {
  Process process(shell(text), {});
  try {
    return "answer: " + process.exchange("hello", limit_s);
  } catch (const Ended& ended) {
    return outcome_name(ended.outcome) + ": " + ended.what();
  }
}

/// No longer there, or dead and waiting to be buried by whoever is init here.
bool is_gone(pid_t pid) {
  for (int tries = 0; tries < 500; ++tries, ::usleep(10'000)) {
    std::string number, name, state;
    std::ifstream("/proc/" + std::to_string(pid) + "/stat") >> number >> name >> state;
    if (state.empty() || state == "Z" || state == "X")
      return true;
  }
  return false;
}

TEST(DoorProcess, a_line_is_answered_with_a_line) {
  EXPECT_EQ(outcome_of("read line; echo \"$line there\""), "answer: hello there");
}

TEST(DoorProcess, an_exit_is_told_with_its_status_and_the_last_words) {
  const std::string text = outcome_of("echo cannot find it >&2; exit 3");
  EXPECT_THAT(text, HasSubstr("failed: the process exited with status 3"));
  EXPECT_THAT(text, HasSubstr("cannot find it"));
}

TEST(DoorProcess, a_signal_is_named) {
  EXPECT_THAT(outcome_of("kill -SEGV $$"), HasSubstr("signal 11 (Segmentation fault)"));
}

TEST(DoorProcess, silence_ends_at_the_limit) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(outcome_of("sleep 60", 0.3), HasSubstr("timed_out: no answer within 0.3 s"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(DoorProcess, a_closed_output_is_no_answer_though_the_process_lives) {
  EXPECT_THAT(outcome_of("exec 1>&-; sleep 60"), HasSubstr("standard output closed"));
}

TEST(DoorProcess, the_death_of_the_leader_is_seen_though_its_child_holds_the_output) {
  EXPECT_THAT(outcome_of("sleep 60 & exit 4"), HasSubstr("exited with status 4"));
}

TEST(DoorProcess, a_frozen_process_answers_only_after_the_thaw) {
  Process process(shell("while read line; do echo $line; done"), {});
  EXPECT_EQ(process.exchange("one", 20), "one");
  process.freeze();
  EXPECT_TRUE(process.frozen());
  EXPECT_EQ(process.exchange("two", 20), "two");
  EXPECT_FALSE(process.frozen());
}

TEST(DoorProcess, its_end_is_the_end_of_everything_it_started) {
  pid_t child = 0;
  {
    Process process(shell("sleep 1000 & read line; echo $!; wait"), {});
    child = static_cast<pid_t>(std::stoi(process.exchange("go", 20)));
    EXPECT_EQ(::kill(child, 0), 0);
    EXPECT_EQ(::getpgid(child), process.id());
  }
  EXPECT_TRUE(is_gone(child));
}

TEST(DoorProcess, no_open_file_of_this_process_is_open_in_it) {
  // 0, 1, 2 and the folder that ls itself reads.
  EXPECT_THAT(outcome_of("read line; echo $(ls /proc/self/fd)"), HasSubstr("answer: 0 1 2 3"));
}

TEST(DoorProcess, cores_are_as_before_when_a_choice_of_one_has_ended) {
  Process process(shell("while read line; do echo $line; done"), {});
  const auto allowed = [&] {
    cpu_set_t set;
    CPU_ZERO(&set);
    EXPECT_EQ(::sched_getaffinity(process.id(), sizeof(set), &set), 0);
    return CPU_COUNT(&set);
  };
  const int before = allowed();
  {
    const ProcessCores cores(process.id());
    cores.allow_only(5);
    EXPECT_EQ(allowed(), 1);
  }
  EXPECT_EQ(allowed(), before);
}

TEST(DoorProcess, a_program_that_cannot_be_executed_is_told) {
  Process process({{"/no/such/program"}, {}, true}, {});
  EXPECT_THROW(process.exchange("hello", 20), Ended);
}

}  // namespace
}  // namespace assay::harness::door
