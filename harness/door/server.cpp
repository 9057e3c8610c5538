// SPDX-License-Identifier: Apache-2.0
#include "harness/door/server.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>

#include "harness/door/opened_case.hpp"

namespace assay::harness::door {
namespace {

/// The lines' two ends, out of the way of code that prints or reads.
struct Lines {
  std::FILE* requests;
  int answers;

  Lines()
      : requests(::fdopen(::fcntl(0, F_DUPFD_CLOEXEC, 200), "r")), answers(::fcntl(1, F_DUPFD_CLOEXEC, 200)) {
    if (requests == nullptr || answers < 0)
      throw std::runtime_error(
          "serve-candidate is started by `assay --candidate`, with lines on stdin and stdout");
    ::dup2(2, 1);
    ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
  }

  std::optional<std::string> next() {
    std::string line;
    for (int c = 0; (c = std::fgetc(requests)) != EOF;) {
      if (c == '\n')
        return line;
      line += static_cast<char>(c);
    }
    return std::nullopt;
  }

  void answer(std::string line) const {
    line += '\n';
    for (std::size_t sent = 0; sent < line.size();) {
      const ssize_t now = ::write(answers, line.data() + sent, line.size() - sent);
      if (now <= 0)
        throw std::runtime_error("the answer cannot be written: nobody listens");
      sent += static_cast<std::size_t>(now);
    }
  }
};

std::optional<Outcome> done(const Request& request, const Served& served,
                            std::unique_ptr<OpenedCase>& opened) {
  if (request.op == "open") {
    opened = std::make_unique<OpenedCase>(request.opening.value(), served);
    return std::nullopt;
  }
  if (opened == nullptr)
    throw std::runtime_error("expected the request open first, found " + request.op);
  if (request.op == "run")
    opened->run(request.first, request.count);
  else if (request.op == "load")
    opened->load(request.set);
  else if (request.op == "store")
    opened->store(request.set);
  else if (request.op != "verify")
    throw std::runtime_error("expected open, load, run, store or verify, found the request " + request.op);
  else if (Outcome outcome = opened->verify(); !std::holds_alternative<Passed>(outcome))
    return outcome;
  return std::nullopt;
}

/// nullopt: done.
std::optional<Outcome> attempt(const Request& request, const Served& served,
                               std::unique_ptr<OpenedCase>& opened) {
  try {
    return done(request, served, opened);
  } catch (const Skip& skip) {
    return Skipped{skip.what()};
  } catch (const OutOfMemory& error) {
    return OutOfMemoryOutcome{error.what()};
  } catch (const std::bad_alloc&) {
    return OutOfMemoryOutcome{"the heap was exhausted in the call"};
  } catch (const std::exception& error) {
    return Failed{error.what()};
  } catch (...) {
    return Failed{"the call threw something that is no std::exception"};
  }
}

}  // namespace

int serve(const Served& served) {
  Lines lines;
  std::unique_ptr<OpenedCase> opened;
  while (const auto line = lines.next()) {
    const Request request = parse_request(*line);
    const std::optional<Outcome> outcome = attempt(request, served, opened);
    lines.answer(outcome ? answer_line(request.id, *outcome) : answer_line(request.id));
  }
  std::fflush(nullptr);
  ::_exit(0);  // not through destructors of foreign code
}

}  // namespace assay::harness::door
