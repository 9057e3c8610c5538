// SPDX-License-Identifier: Apache-2.0
// nf4_matmul_bench: skinny products against dequantize + cuBLASLt (timed choice) and cuBLASLt on 16-bit
// weights, on this GPU, without the harness. Copies of the weights rotate past L2 inside one CUDA graph. One
// line a shape, number of rows and configuration:
//   nf4_matmul_bench [--filter TEXT] [--all-configs 0|1] [--type bf16|f16] [--constant 0|1]
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/common/cuda_check.hpp"
#include "kernels/common/matmul.hpp"
#include "kernels/nf4/dequantize.hpp"
#include "kernels/nf4/matmul/skinny.hpp"

namespace assay::kernels::nf4 {
namespace {

constexpr std::size_t kPastL2 = std::size_t{192} << 20;  // bytes that rotate: the largest L2 is 126 MB
constexpr std::size_t kWorkspace = std::size_t{32} << 20;

struct Options {
  std::string filter;
  bool all_configs = true, constant = true;
  ScalarType type = ScalarType::kBfloat16;
};

class Memory {
 public:
  explicit Memory(std::size_t bytes) : bytes_(bytes) { ASSAY_CUDA_CHECK(cudaMalloc(&data_, bytes + 256)); }
  ~Memory() { cudaFree(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void fill(unsigned seed, const std::function<std::uint16_t(std::mt19937&)>& word) const {
    std::mt19937 random(seed);
    std::vector<std::uint16_t> words(std::min<std::size_t>(bytes_ / 2 + 1, 1 << 18));
    for (auto& w : words) w = word(random);
    for (std::size_t at = 0; at < bytes_; at += 2 * words.size())
      ASSAY_CUDA_CHECK(cudaMemcpy(static_cast<char*>(data_) + at, words.data(),
                                  std::min(2 * words.size(), bytes_ - at), cudaMemcpyHostToDevice));
  }
  void* get() const { return data_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

/// Microseconds a call: median of 15 replays of a graph of `calls` calls.
double graph_us(int calls, const std::function<void(int, cudaStream_t)>& call) {
  cudaStream_t stream{};
  cudaGraph_t graph{};
  cudaGraphExec_t executable{};
  cudaEvent_t begin{}, end{};
  ASSAY_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  ASSAY_CUDA_CHECK(cudaEventCreate(&begin));
  ASSAY_CUDA_CHECK(cudaEventCreate(&end));
  call(0, stream);  // timed choices are made outside the capture
  ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream));
  ASSAY_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < calls; ++i) call(i, stream);
  ASSAY_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  ASSAY_CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));
  std::vector<float> times;
  for (int i = 0; i < 18; ++i) {
    ASSAY_CUDA_CHECK(cudaEventRecord(begin, stream));
    ASSAY_CUDA_CHECK(cudaGraphLaunch(executable, stream));
    ASSAY_CUDA_CHECK(cudaEventRecord(end, stream));
    ASSAY_CUDA_CHECK(cudaEventSynchronize(end));
    float ms = 0;
    ASSAY_CUDA_CHECK(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 3)
      times.push_back(ms);
  }
  ASSAY_CUDA_CHECK(cudaGraphExecDestroy(executable));
  ASSAY_CUDA_CHECK(cudaGraphDestroy(graph));
  ASSAY_CUDA_CHECK(cudaEventDestroy(begin));
  ASSAY_CUDA_CHECK(cudaEventDestroy(end));
  ASSAY_CUDA_CHECK(cudaStreamDestroy(stream));
  std::sort(times.begin(), times.end());
  return 1e3 * static_cast<double>(times[times.size() / 2]) / calls;
}

/// Copies of one layer's weights, enough to fill L2 more than once.
struct Layer {
  Layer(std::int64_t n, std::int64_t k)
      : n(n),
        k(k),
        weights(static_cast<std::size_t>(n * k)),
        copies(static_cast<int>(std::clamp<std::size_t>(kPastL2 / (weights / 2), 4, 256))),
        packed(weights / 2 * static_cast<std::size_t>(copies)),
        codes(weights / 64 * static_cast<std::size_t>(copies)),
        levels(4 * ((weights / 64 + 255) / 256)),
        map(4 * 256),
        offset(4) {
    packed.fill(1, [](std::mt19937& r) { return static_cast<std::uint16_t>(r()); });
    codes.fill(2, [](std::mt19937& r) { return static_cast<std::uint16_t>(r()); });
    const auto put = [](const Memory& to, std::vector<float> values) {
      ASSAY_CUDA_CHECK(cudaMemcpy(to.get(), values.data(), 4 * values.size(), cudaMemcpyHostToDevice));
    };
    put(levels, std::vector<float>((weights / 64 + 255) / 256, 0.02f));
    std::vector<float> ramp(256);
    for (std::size_t i = 0; i < 256; ++i) ramp[i] = (static_cast<float>(i) - 127.5f) / 127.5f;
    put(map, ramp);
    put(offset, {0.04f});
  }
  PackedWeights copy(int i) const {
    const auto which = static_cast<std::size_t>(i % copies);
    return {.packed = static_cast<const std::uint8_t*>(packed.get()) + which * (weights / 2),
            .num_weights = n * k,
            .absmax_codes = static_cast<const std::uint8_t*>(codes.get()) + which * (weights / 64),
            .nested_absmax = static_cast<const float*>(levels.get()),
            .nested_code = static_cast<const float*>(map.get()),
            .nested_offset = static_cast<const float*>(offset.get())};
  }

  std::int64_t n, k;
  std::size_t weights;
  int copies;
  Memory packed, codes, levels, map, offset;
};

std::string text_of(const SkinnyConfig& c) {
  if (!c.matrix)
    return "plain";
  return "group" + std::to_string(c.blocks_a_group) + " columns" + std::to_string(c.column_tiles) + " rows" +
         std::to_string(c.row_tiles) + " grid" + std::to_string(c.grid);
}

/// The chosen one first; then other tiles and grids.
std::vector<SkinnyConfig> configs(const SkinnyArgs& args, bool all) {
  const SkinnyConfig chosen = skinny_config_for(args);
  std::vector<SkinnyConfig> out = {chosen};
  if (!all || !chosen.matrix)
    return out;
  int multiprocessors = 0;
  ASSAY_CUDA_CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
  for (const int rows : {1, 2}) {
    SkinnyConfig c = chosen;
    c.row_tiles = rows;
    const auto tiles = static_cast<unsigned>((args.n + 16 * rows - 1) / (16 * rows));
    const auto resident = static_cast<unsigned>(multiprocessors * blocks_a_multiprocessor(c));
    for (const unsigned grid :
         {std::min(tiles, resident),
          (tiles + (tiles + resident - 1) / resident - 1) / ((tiles + resident - 1) / resident), tiles}) {
      c.grid = grid;
      if (std::find(out.begin(), out.end(), c) == out.end())
        out.push_back(c);
    }
  }
  return out;
}

void bench_shape(const Layer& layer, int m, const Options& options) {
  const std::int64_t n = layer.n, k = layer.k;
  const auto rows = static_cast<std::size_t>(m);
  const Memory x(2 * rows * static_cast<std::size_t>(k)), y(2 * rows * static_cast<std::size_t>(n)),
      dense(2 * layer.weights), workspace(kWorkspace);
  // Numbers near 1 in either type: sign and the low bits of the mantissa are random.
  const unsigned one = options.type == ScalarType::kBfloat16 ? 0x3f80 : 0x3c00;
  const auto near_one = [one](std::mt19937& r) {
    const unsigned bits = static_cast<unsigned>(r());
    return static_cast<std::uint16_t>(one | (bits & 0x803fu));
  };
  x.fill(3, near_one);
  const int calls = std::clamp(2 * layer.copies, 24, 200);
  MatmulArgs product{.a = x.get(), .b = dense.get(), .d = y.get(), .m = m, .n = n, .k = k};
  product.transpose_b = true;
  product.in_type = product.out_type =
      options.type == ScalarType::kBfloat16 ? MatmulType::kBfloat16 : MatmulType::kFloat16;
  product.workspace = workspace.get(), product.workspace_bytes = kWorkspace;
  product.choice = MatmulChoice::kTimed;
  const double baseline_us = graph_us(calls, [&](int i, cudaStream_t stream) {
    dequantize({.weights = layer.copy(i),
                .out = dense.get(),
                .out_type = options.type,
                .weights_are_constant = options.constant},
               stream);
    matmul(product, stream);
  });
  // Dense weights rotate too: as many as exceed L2.
  const int dense_copies = static_cast<int>(std::clamp<std::size_t>(kPastL2 / (2 * layer.weights), 2, 64));
  std::vector<std::unique_ptr<Memory>> others;
  for (int i = 0; i < dense_copies; ++i) {
    others.push_back(std::make_unique<Memory>(2 * layer.weights));
    ASSAY_CUDA_CHECK(
        cudaMemcpy(others.back()->get(), dense.get(), 2 * layer.weights, cudaMemcpyDeviceToDevice));
  }
  const double cublas_us = graph_us(calls, [&](int i, cudaStream_t stream) {
    MatmulArgs rotated = product;
    rotated.b = others[static_cast<std::size_t>(i % dense_copies)]->get();
    matmul(rotated, stream);
  });

  SkinnyArgs args;
  args.n = n, args.k = k, args.m = m, args.type = options.type;
  args.x = x.get(), args.y = y.get();
  args.weights_are_constant = options.constant;
  args.weights = layer.copy(0);
  bool first = true;
  for (const SkinnyConfig& config : configs(args, options.all_configs)) {
    const double us = graph_us(calls, [&](int i, cudaStream_t stream) {
      SkinnyArgs rotated = args;
      rotated.weights = layer.copy(i);
      skinny_linear(rotated, config, stream);
    });
    const double bytes = static_cast<double>(layer.weights) * (0.5 + 1.0 / 64);
    std::printf(
        "%6lldx%-6lld m%-3d %-36s %8.2f us %6.3f TB/s packed  dequantize+cublas %8.2f us %5.2fx  cublas16 "
        "%8.2f us %5.2fx%s\n",
        static_cast<long long>(n), static_cast<long long>(k), m, text_of(config).c_str(), us,
        1e-6 * bytes / us, baseline_us, baseline_us / us, cublas_us, cublas_us / us,
        first ? "  <- chosen" : "");
    first = false;
  }
  std::fflush(stdout);
}

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; i += 2) {
    const std::string name = words[i];
    if (i + 1 == count)
      throw std::invalid_argument("expected a value behind " + name);
    const std::string value = words[i + 1];
    if (name == "--filter")
      options.filter = value;
    else if (name == "--all-configs" && (value == "0" || value == "1"))
      options.all_configs = value == "1";
    else if (name == "--constant" && (value == "0" || value == "1"))
      options.constant = value == "1";
    else if (name == "--type" && (value == "bf16" || value == "f16"))
      options.type = value == "bf16" ? ScalarType::kBfloat16 : ScalarType::kFloat16;
    else
      throw std::invalid_argument(
          "expected --filter TEXT, --all-configs 0|1, --constant 0|1 or --type bf16|f16, found " + name +
          " " + value);
  }
  return options;
}

void bench(const Options& options) {
  const std::pair<int, int> shapes[] = {{4096, 14336}, {14336, 4096}, {8192, 28672}, {4096, 4096},
                                        {1024, 4096},  {28672, 8192}, {2048, 2048},  {8192, 2048}};
  bool any = false;
  for (const auto& [n, k] : shapes) {
    const auto matches = [&](int m) {
      const std::string name = std::to_string(n) + "x" + std::to_string(k) + "/m" + std::to_string(m) + "/";
      return name.find(options.filter) != std::string::npos;
    };
    std::unique_ptr<Layer> layer;
    for (const int m : {1, 2, 4, 8, 16}) {
      if (!matches(m))
        continue;
      if (!layer)
        layer = std::make_unique<Layer>(n, k);
      bench_shape(*layer, m, options);
      any = true;
    }
  }
  if (!any)
    throw std::invalid_argument("expected --filter to be part of a name such as 4096x14336/m1/, found '" +
                                options.filter + "'");
}

}  // namespace
}  // namespace assay::kernels::nf4

int main(int count, char** words) {
  try {
    using namespace assay::kernels::nf4;
    bench(parse(count, words));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
