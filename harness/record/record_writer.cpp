// SPDX-License-Identifier: Apache-2.0
// A record file appears whole or not at all: lines go to a temporary file beside it, which `commit` renames.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "harness/record/record.hpp"

namespace assay::harness {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot_write(const fs::path& file, const std::string& found) {
  throw UsageError(file.string() + ": expected a place where records can be written, found: " + found +
                   "; choose another --out");
}

fs::path temporary_beside(const fs::path& file) {
  return file.parent_path() / fmt::format(".{}.partial-{}", file.filename().string(), ::getpid());
}

}  // namespace

RecordWriter::RecordWriter(fs::path file) : file_(std::move(file)), temporary_(temporary_beside(file_)) {
  std::error_code error;
  if (!file_.has_filename()) {
    cannot_write(file_, "no file name");
  }
  if (fs::exists(file_, error) && !fs::is_regular_file(file_, error)) {
    cannot_write(file_, "something that is not a plain file");
  }
  if (file_.has_parent_path()) {
    fs::create_directories(file_.parent_path(), error);
    if (error) {
      cannot_write(file_, error.message());
    }
  }
  stream_.open(temporary_, std::ios::binary | std::ios::trunc);
  if (!stream_) {
    cannot_write(file_, std::strerror(errno));
  }
}

RecordWriter::~RecordWriter() {
  if (!committed_) {
    stream_.close();
    std::error_code ignored;
    fs::remove(temporary_, ignored);
  }
}

void RecordWriter::write(const Record& record) {
  append(to_json_line(record));
}
void RecordWriter::write(const Check& check) {
  append(to_json_line(check));
}

void RecordWriter::append(const std::string& line) {
  if (committed_) {
    throw std::logic_error(file_.string() + ": expected no line after commit, found one");
  }
  stream_ << line << std::flush;
  if (!stream_) {
    cannot_write(file_, std::strerror(errno));
  }
}

void RecordWriter::commit() {
  if (committed_) {
    return;
  }
  stream_.close();
  std::error_code error;
  if (!stream_) {
    cannot_write(file_, std::strerror(errno));
  }
  fs::rename(temporary_, file_, error);
  if (error) {
    cannot_write(file_, error.message());
  }
  committed_ = true;
}

}  // namespace assay::harness
