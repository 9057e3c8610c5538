// SPDX-License-Identifier: Apache-2.0
// A program that answers, and all the ways in which one does not.
#include "suites/compile/training/peer_process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <stdexcept>

namespace assay::suites::compile {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

PeerProcess shell(const std::string& script) {
  return PeerProcess({"sh", "-c", script});
}

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(PeerProcess, answers_lines_with_lines) {
  PeerProcess echo({"cat"});
  echo.say("one");
  echo.say("two");
  EXPECT_EQ(echo.hear(seconds(10)), "one");
  EXPECT_EQ(echo.hear(seconds(10)), "two");
  const std::string large(std::size_t{1} << 16, 'x');
  echo.say(large);
  EXPECT_EQ(echo.hear(seconds(10)), large);
}

TEST(PeerProcess, that_is_silent_or_ends_is_named_with_how) {
  PeerProcess silent = shell("sleep 60");
  EXPECT_THAT(refusal([&] { silent.hear(seconds(0)); }), HasSubstr("within 0 s"));
  PeerProcess ended = shell("echo last; exit 3");
  EXPECT_EQ(ended.hear(seconds(10)), "last");
  EXPECT_THAT(refusal([&] { ended.hear(seconds(10)); }), HasSubstr("status 3"));
  PeerProcess killed = shell("kill -SEGV $$");
  EXPECT_THAT(refusal([&] { killed.hear(seconds(10)); }), HasSubstr("signal 11"));
}

TEST(PeerProcess, that_no_longer_reads_is_refused_without_a_signal) {
  PeerProcess ended = shell("exit 5");
  const auto talk = [&] {
    for (;;) ended.say("is anyone there?");
  };
  EXPECT_THAT(refusal(talk), HasSubstr("status 5"));
}

TEST(PeerProcess, that_is_not_there_is_refused) {
  EXPECT_THAT(refusal([] { PeerProcess({"no-such-program-of-assay"}); }), HasSubstr("No such file"));
}

TEST(PeerProcess, ends_with_its_object) {
  pid_t child = 0;
  {
    PeerProcess sleeping = shell("echo $$; sleep 60");
    child = static_cast<pid_t>(std::stoi(sleeping.hear(seconds(10))));
    EXPECT_EQ(::kill(child, 0), 0);
  }
  EXPECT_NE(::kill(child, 0), 0);
}

}  // namespace
}  // namespace assay::suites::compile
