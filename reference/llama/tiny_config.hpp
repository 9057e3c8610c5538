// SPDX-License-Identifier: Apache-2.0
// A Llama small enough for tests on a CPU: grouped queries, untied head.
#pragma once

#include "reference/llama/config.hpp"

namespace assay::reference::llama {

inline LlamaConfig tiny_config() {
  LlamaConfig config;
  config.vocab_size = 101;
  config.hidden_size = 48;
  config.intermediate_size = 80;
  config.num_layers = 2;
  config.num_heads = 6;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  return config;
}

}  // namespace assay::reference::llama
