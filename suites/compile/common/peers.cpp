// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/common/peers.hpp"

#include "harness/python/python.hpp"

namespace assay::suites::compile {

namespace fs = std::filesystem;

fs::path peer_script(const std::string& name) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (const fs::path beside = program / "peers" / name; fs::is_regular_file(beside, error))
    return beside;
  return fs::path(ASSAY_PEERS) / name;
}

harness::Implementation python_peer(const PythonPeer& peer) {
  harness::Implementation out;
  out.name = peer.name;
  out.role = harness::Role::kPeer;
  out.device = harness::DeviceKind::kCuda;
  out.about = peer.about;
  out.deterministic = false;
  out.own_k = peer.own_k;
  out.find_version = [peer] {
    return harness::Python::instance().version(peer_script(peer.script), peer.name);
  };
  out.prepare = [peer](const harness::Case& which, const harness::TensorSet& inputs,
                       harness::TensorSet& outputs, harness::CallStyle style) {
    return harness::Invocation(
        harness::Python::instance().prepare(peer_script(peer.script), peer.name, inputs, outputs,
                                            peer.describe(which, style == harness::CallStyle::kInto)));
  };
  out.sources = {"suites/compile/peers/" + peer.script, "suites/compile/common/peers.cpp"};
  return out;
}

}  // namespace assay::suites::compile
