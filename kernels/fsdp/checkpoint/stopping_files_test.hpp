// SPDX-License-Identifier: Apache-2.0
// Files that stop working after a number of operations: in half a write where it is a write.
#pragma once

#include <functional>
#include <stdexcept>

#include "kernels/fsdp/checkpoint/files.hpp"

namespace assay::kernels::fsdp {

struct Stopped : std::runtime_error {
  Stopped() : std::runtime_error("stopped by the test") {}
};

class StoppingFiles : public Files {
 public:
  /// Operation number `stop_at`, from 0 on, calls `stop` instead of being done.
  StoppingFiles(Files& inner, int stop_at, std::function<void()> stop)
      : inner_(inner), stop_at_(stop_at), stop_(std::move(stop)) {}

  int operations() const { return operations_; }

  void make_directory(const std::filesystem::path& path) override {
    count();
    inner_.make_directory(path);
  }
  std::unique_ptr<OutputFile> create(const std::filesystem::path& path) override {
    count();
    return std::make_unique<File>(*this, inner_.create(path));
  }
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    count();
    inner_.rename(from, to);
  }
  void sync_directory(const std::filesystem::path& path) override {
    count();
    inner_.sync_directory(path);
  }
  void remove_all(const std::filesystem::path& path) override {
    count();
    inner_.remove_all(path);
  }

 private:
  class File : public OutputFile {
   public:
    File(StoppingFiles& files, std::unique_ptr<OutputFile> inner) : files_(files), inner_(std::move(inner)) {}
    void write(std::span<const std::byte> bytes) override {
      if (files_.operations_ == files_.stop_at_)
        inner_->write(bytes.first(bytes.size() / 2));
      files_.count();
      inner_->write(bytes);
    }
    void sync() override {
      files_.count();
      inner_->sync();
    }

   private:
    StoppingFiles& files_;
    std::unique_ptr<OutputFile> inner_;
  };

  void count() {
    if (operations_++ == stop_at_)
      stop_();
  }

  Files& inner_;
  int stop_at_, operations_ = 0;
  std::function<void()> stop_;
};

}  // namespace assay::kernels::fsdp
