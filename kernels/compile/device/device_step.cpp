// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/device_step.hpp"

#include <stdexcept>
#include <utility>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/device/cuda_kernels.hpp"
#include "kernels/compile/device/device_memory.hpp"
#include "kernels/compile/device/rounding.hpp"
#include "kernels/compile/device/staging.hpp"
#include "kernels/compile/device/step_graph.hpp"
#include "kernels/compile/device/walk.hpp"

namespace assay::kernels::compile {

// Destroyed from the last member to the first: the graph and the staging's copies before memory and stream.
struct DeviceStep::Device {
  Device(const StepPlan& plan, const DeviceStepOptions& options)
      : compiler(std::make_shared<attention::Compiler>(options.program_cache)),
        memory(plan.layout().bytes),
        kernels(
            attention::FlexAttention(compiler, plan.mods(), plan.head_type(), attention::current_target()),
            stream.get()),
        staging(plan.layout().input_bytes) {
    const StepLayout& layout = plan.layout();
    ASSAY_CUDA_CHECK(cudaMemsetAsync(memory.get(), 0xff, layout.arena_bytes, stream.get()));
    ASSAY_CUDA_CHECK(
        cudaMemsetAsync(memory.get() + layout.state, 0, layout.bytes - layout.state, stream.get()));
    stream.wait();
  }

  std::shared_ptr<attention::Compiler> compiler;
  Stream stream;
  DeviceMemory memory;
  CudaKernels kernels;
  Staging staging;
  StepGraph graph;
};

DeviceStep::DeviceStep(Program program, const DeviceStepOptions& options)
    : plan_(std::move(program), {.compute = options.compute,
                                 .longest_sequence = options.longest_sequence,
                                 .chunk_rows = options.chunk_rows,
                                 .loss_scaling = options.loss_scaling}),
      watch_(options.fail_after_warm_up),
      device_(std::make_unique<Device>(plan_, options)) {
  if (!options.program_cache.empty())
    keep_matmul_winners(options.program_cache);
  plan_.place(device_->memory.get());
}
DeviceStep::~DeviceStep() {
  cudaStreamSynchronize(device_->stream.get());
}

cudaStream_t DeviceStep::stream() const {
  return device_->stream.get();
}
std::size_t DeviceStep::graph_nodes() const {
  return device_->graph.nodes();
}

void DeviceStep::note_stale(const std::string& name, bool changed) {
  if (changed && device_->graph.is_captured())
    stale_ = "'" + name + "' was bound to other memory than the graph was captured with";
}
void DeviceStep::bind(const std::string& name, const void* data) {
  note_stale(name, plan_.bind(name, data));
}
void DeviceStep::bind(const std::string& name, const nf4::PackedWeights& weights) {
  note_stale(name, plan_.bind(name, weights));
}

const Buffer& DeviceStep::owned(const std::string& name, std::size_t& offset) const {
  const auto index = static_cast<std::size_t>(plan_.program().find(name));
  const Buffer& buffer = plan_.program().buffers[index];
  if (buffer.role == Role::kFrozen || buffer.element != Element::kFloat32 || buffer.role == Role::kArena)
    throw std::invalid_argument(
        "device step: expected an adapter, a gradient, a moment or a result, found '" + name + "'");
  offset = plan_.layout().offsets[index];
  return buffer;
}

void DeviceStep::set(const std::string& name, std::span<const float> values) {
  std::size_t offset = 0;
  const Buffer& buffer = owned(name, offset);
  if (buffer.role != Role::kAdapter && buffer.role != Role::kMoment)
    throw std::invalid_argument("device step: expected an adapter or a moment to set, found '" + name + "'");
  if (std::ssize(values) != element_count(buffer))
    throw std::invalid_argument("device step: expected " + std::to_string(element_count(buffer)) +
                                " values for '" + name + "', found " + std::to_string(values.size()));
  device_->stream.wait();
  const auto write = [&](std::size_t at, const void* from, std::size_t bytes) {
    ASSAY_CUDA_CHECK(
        cudaMemcpyAsync(device_->memory.get() + at, from, bytes, cudaMemcpyHostToDevice, stream()));
    device_->stream.wait();
  };
  write(offset, values.data(), values.size_bytes());
  if (buffer.role != Role::kAdapter)
    return;
  const std::vector<std::uint16_t> copy = rounded(values, plan_.options().compute);
  const auto index = static_cast<std::size_t>(plan_.program().find(name + ".copy"));
  write(plan_.layout().offsets[index], copy.data(), 2 * copy.size());
}

std::vector<float> DeviceStep::get(const std::string& name) {
  std::size_t offset = 0;
  std::vector<float> values(static_cast<std::size_t>(element_count(owned(name, offset))));
  ASSAY_CUDA_CHECK(cudaMemcpyAsync(values.data(), device_->memory.get() + offset, 4 * values.size(),
                                   cudaMemcpyDeviceToHost, stream()));
  device_->stream.wait();
  return values;
}

std::map<std::string, std::vector<float>> DeviceStep::adapters() {
  std::map<std::string, std::vector<float>> all;
  for (const Buffer& buffer : plan_.program().buffers)
    if (buffer.role == Role::kAdapter)
      all[buffer.name] = get(buffer.name);
  return all;
}

void DeviceStep::load(const StepInputs& inputs) {
  check(inputs, capacity_of(plan_));
  bool waited = false;
  pack(inputs, plan_, device_->staging.take(waited));
  if (waited)
    watch_.add_wait();
  device_->staging.send(device_->memory.get() + plan_.layout().inputs, stream());
  loaded_ = true;
}

WorkDone DeviceStep::work_done() const {
  const attention::CompileCounters c = device_->compiler->counters();
  return {.compilations = c.compilations,
          .programs_loaded = c.disk_loads,
          .searches = std::ssize(matmul_searches())};
}

template <class Work>
void DeviceStep::watched(const Work& work) {
  const WorkDone before = work_done();
  work();
  watch_.add(before, work_done());
}

void DeviceStep::make_ready() {
  plan_.check_bound();
  if (!watch_.is_warm()) {
    // The first walk finds algorithms; the second runs the list as it will be captured, which loads every
    // kernel.
    for (const bool searches : {true, false}) {
      device_->kernels.search_all(searches);
      walk(plan_, device_->kernels, WalkPart::kWithoutAdamW);
    }
    // AdamW's code is loaded on memory that nobody reads: a few elements of the products' workspace. So is
    // that of the loss scaling's end.
    ASSAY_CUDA_CHECK(cudaMemsetAsync(plan_.workspace(), 0, 5 * 256, stream()));
    device_->kernels.adamw(plan_.adamw_on_scratch());
    if (plan_.scales_loss())
      device_->kernels.end_loss_scaling(plan_.end_loss_scaling_on_scratch());
  }
  watch_.capture(stale_.empty() ? "the first" : stale_);
  if (device_->graph.is_captured())
    watch_.add_wait();  // for the graph that is replaced
  device_->graph.capture(stream(), [&] { walk(plan_, device_->kernels, WalkPart::kWhole); });
  stale_.clear();
}

void DeviceStep::run() {
  if (!loaded_)
    throw std::logic_error("device step: expected inputs, found none: load() them first");
  watched([&] {
    if (!device_->graph.is_captured() || !stale_.empty())
      make_ready();
    device_->graph.launch(stream());
  });
  watch_.warmed_up();
  watch_.add_step();
}

float DeviceStep::loss() {
  return get("loss").front();
}

namespace {

/// Events around each operation.
class Timer final : public WalkObserver {
 public:
  explicit Timer(cudaStream_t stream) : stream_(stream) {}
  void begin(std::size_t op) override {
    spans_.push_back({op, std::make_unique<Event>(), std::make_unique<Event>()});
    spans_.back().begin->record(stream_);
  }
  void end(std::size_t) override { spans_.back().end->record(stream_); }
  std::vector<DeviceStep::OpTime> times() const {
    std::vector<DeviceStep::OpTime> all;
    for (const Span& span : spans_) all.push_back({span.op, Event::milliseconds(*span.begin, *span.end)});
    return all;
  }

 private:
  struct Span {
    std::size_t op;
    std::unique_ptr<Event> begin, end;
  };
  cudaStream_t stream_;
  std::vector<Span> spans_;
};

}  // namespace

std::vector<DeviceStep::OpTime> DeviceStep::profile() {
  if (!device_->graph.is_captured() || !stale_.empty())
    throw std::logic_error("device step: expected a captured step to profile, found none: run() it first");
  Timer timer(stream());
  watched([&] { walk(plan_, device_->kernels, WalkPart::kWhole, &timer); });
  return timer.times();
}

}  // namespace assay::kernels::compile
