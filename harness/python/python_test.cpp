// SPDX-License-Identifier: Apache-2.0
#include "harness/python/python.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "harness/core/outcome.hpp"

namespace assay::harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* kScript = R"(
def version(name):
    if name == "absent":
        import a_package_that_is_not_there
    return name + " 1.2"

def prepare(name, inputs, outputs, parameters):
    if name == "unable":
        raise NotImplementedError("only even sizes")
    def scale():
        outputs["y"].copy_(inputs["x"].float() * parameters["factor"])
    def fail():
        raise ValueError("expected good news")
    def too_large():
        raise MemoryError("no room")
    return {"scale": scale, "fail": fail, "too_large": too_large}[name]
)";

class InPython : public testing::Test {
 protected:
  void SetUp() override {
    try {
      Python::instance();
    } catch (const Skip& reason) {
      GTEST_SKIP() << reason.what();
    }
    std::ofstream(script_) << kScript;
    x_ = inputs_.add({"x", Dtype::kBfloat16, {2, 3}});
    y_ = outputs_.add({"y", Dtype::kFloat32, {2, 3}});
    for (int i = 0; i < 6; ++i) x_.as<std::uint16_t>()[i] = 0x3F80;  // 1.0
  }
  void TearDown() override { fs::remove(script_); }

  PythonCall prepare(const std::string& name) {
    return Python::instance().prepare(script_, name, inputs_, outputs_, R"({"factor": 2.5})");
  }

  const fs::path script_ =
      fs::path(testing::TempDir()) / ("assay_peer_" + std::to_string(::getpid()) + ".py");
  TensorSet inputs_{DeviceKind::kCpu}, outputs_{DeviceKind::kCpu};
  TensorView x_, y_;
};

// One test, since each process would import torch again.
TEST_F(InPython, a_script_sees_the_harness_tensors_and_its_errors_come_back_as_outcomes) {
  const PythonCall scale = prepare("scale");
  for (const float expected : {2.5f, 5.0f}) {  // 1.0, then 2.0 in place
    outputs_.fill(0xFF);
    scale(nullptr);
    for (int i = 0; i < 6; ++i) EXPECT_EQ(y_.as<float>()[i], expected);
    for (int i = 0; i < 6; ++i) x_.as<std::uint16_t>()[i] = 0x4000;
  }
  EXPECT_THAT([&] { prepare("fail")(nullptr); }, testing::ThrowsMessage<std::runtime_error>(
                                                     testing::HasSubstr("ValueError: expected good news")));
  EXPECT_THROW(prepare("too_large")(nullptr), OutOfMemory);
  EXPECT_THAT([&] { prepare("unable"); },
              testing::ThrowsMessage<Skip>(testing::HasSubstr("only even sizes")));
  EXPECT_THAT([&] { prepare("unknown"); },
              testing::ThrowsMessage<std::runtime_error>(testing::HasSubstr("KeyError")));
  EXPECT_EQ(Python::instance().version(script_, "peer"), "peer 1.2");
  EXPECT_EQ(Python::instance().version(script_, "absent"), "");
}

}  // namespace
}  // namespace assay::harness
