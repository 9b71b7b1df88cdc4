// gradient_stats on the device: upload the tables, choose the scale, moments of every weight, statistics over the
// weights.

#include <algorithm>
#include <limits>

#include "cuda/gradient/finish.h"
#include "cuda/gradient/moments.h"
#include "cuda/gradient/plan.h"
#include "cuda/gradient/scan.h"
#include "cuda/simt/extent.h"
#include "cuda/simt/simt.h"
#include "cuda/simt/upload.h"
#include "kernels.h"

namespace lswag {
namespace cuda {
namespace {

// The regions of the workspace, as the kernels see them.
struct Workspace {
  const DevicePlan& plan;
  char* begin;

  template <class T>
  T* at(int64_t offset) const {
    return reinterpret_cast<T*>(begin + offset);
  }
  simt::Global<const DeviceCall> calls() const {
    return {at<const DeviceCall>(plan.layout.calls), static_cast<int64_t>(plan.calls.size())};
  }
  simt::Global<const RowTile> row_tiles() const {
    return {at<const RowTile>(plan.layout.row_tiles), static_cast<int64_t>(plan.row_tiles.size())};
  }
  RowMap rows() const {
    const int64_t n = static_cast<int64_t>(plan.row_blocks.size());
    return {{at<const int64_t>(plan.layout.row_blocks), n}, n == 0};
  }
  simt::Global<simt::Word> counter(int number) const { return {at<simt::Word>(plan.layout.counters) + number, 1}; }
  simt::Global<int32_t> exponents() const { return {at<int32_t>(plan.layout.exponents), kExponents}; }
  simt::Global<const int32_t> chosen_exponents() const {
    return {at<const int32_t>(plan.layout.exponents), kExponents};
  }
  simt::Global<double> rounding() const { return {at<double>(plan.layout.rounding), 1}; }
  simt::Global<const double> found_rounding() const { return {at<const double>(plan.layout.rounding), 1}; }
  simt::Global<double> samples() const { return {at<double>(plan.layout.samples), plan.n_samples * kSampleValues}; }
  simt::Global<double> partials() const {
    return {at<double>(plan.layout.partials), finish_blocks(plan.n_weights()) * statistic::kCount};
  }
  void* states() const { return begin + plan.layout.states; }
};

DeviceWeight device_weight(const View& weight, const DevicePlan& plan) {
  check_weight(weight, plan.n_all_rows, plan.n_columns);
  DeviceWeight device{};
  const OffsetRange range = offset_range(weight);
  device.view.data = weight.data;
  device.view.begin = range.begin;
  device.view.end = range.end;
  device.view.dtype = weight.dtype;
  device.n_dims = weight.ndim;
  for (int d = 0; d < weight.ndim; ++d) {
    device.size[d] = weight.size[d];
    device.stride[d] = weight.stride[d];
  }
  return device;
}

void scan_operands(const DevicePlan& plan, const GradientOptions& options, const Workspace& workspace,
                   const GradientMemory& memory, simt::Stream stream) {
  ScanJob job{};
  job.calls = workspace.calls();
  job.n_calls = static_cast<int>(plan.calls.size());
  job.n_samples = plan.n_samples;
  job.n_positions = plan.n_positions;
  const bool is_double = plan.arithmetic == Arithmetic::f64;
  job.limit = is_double ? kExponentLimit<double> : kExponentLimit<float>;
  job.digits = is_double ? std::numeric_limits<double>::digits : std::numeric_limits<float>::digits;
  job.counter = workspace.counter(0);
  job.samples = workspace.samples();
  job.exponents = workspace.exponents();
  job.rounding = workspace.rounding();
  job.has_moments = options.moments != nullptr;
  if (job.has_moments) {
    job.of_state = {memory.exponent, 1};
    job.squares = {memory.squares, 1};
    job.count_before = options.moments->count;
  }
  launch_scan(job, stream);
}

void compute_moments(const DevicePlan& plan, const GradientOptions& options, const Workspace& workspace,
                     simt::Stream stream) {
  if (plan.calls.empty()) {  // no positions: every gradient is zero
    simt::set_zero(workspace.states(), plan.layout.n_bytes - plan.layout.states, stream);
    return;
  }
  MomentsJob job{};
  job.calls = workspace.calls();
  job.n_calls = static_cast<int>(plan.calls.size());
  job.row_tiles = workspace.row_tiles();
  job.n_column_tiles = plan.n_column_tiles;
  job.rows = workspace.rows();
  job.conv = plan.conv;
  job.exponents = workspace.chosen_exponents();
  job.states = workspace.states();
  job.n_rows = plan.n_rows;
  job.n_columns = plan.n_columns;
  job.n_samples = plan.n_samples;
  job.n_parts = plan.n_parts;
  job.n_row_tiles = static_cast<int64_t>(plan.row_tiles.size());
  job.absolute = options.absolute;
  job.batch_gradient = options.batch_gradient;
  job.is_conv = plan.is_conv;
  switch (plan.arithmetic) {
    case Arithmetic::f32:
      return launch_moments_f32(job, stream);
    case Arithmetic::f64:
      return launch_moments_f64(job, stream);
    case Arithmetic::tf32:
      return launch_moments_tf32(job, stream);
    case Arithmetic::bf16:
      return launch_moments_bf16(job, stream);
    case Arithmetic::f16:
      return launch_moments_f16(job, stream);
  }
}

void add_up(const DevicePlan& plan, const GradientOptions& options, const Workspace& workspace,
            const DeviceWeight* weight, double* statistics, simt::Stream stream) {
  FinishJob job{};
  job.states = workspace.states();
  job.n_samples = plan.n_samples;
  job.n_parts = plan.n_parts;
  job.n_rows = plan.n_rows;
  job.n_columns = plan.n_columns;
  job.n_all_rows = plan.n_all_rows;
  job.rows = workspace.rows();
  job.batch_gradient = options.batch_gradient;
  job.has_weight = weight != nullptr;
  if (weight) job.weight = *weight;
  job.xi = options.xi;
  job.exponents = workspace.chosen_exponents();
  job.rounding = workspace.found_rounding();
  if (options.moments) {
    job.mean = options.moments->mean;
    job.m2 = options.moments->m2;
    job.signed_mean = options.moments->signed_mean;
    job.count_before = options.moments->count;
  }
  job.counter = workspace.counter(1);
  job.partials = workspace.partials();
  job.statistics = {statistics, statistic::kCount};
  plan.arithmetic == Arithmetic::f64 ? launch_finish_f64(job, stream) : launch_finish_f32(job, stream);
}

}  // namespace

int64_t gradient_stats_bytes(const GradientCall* calls, int n_calls, const GradientOptions& options) {
  // The tiles of the two precisions differ, and with them the parts.
  const DevicePlan exact = plan_gradient(calls, n_calls, options, Precision::exact);
  const DevicePlan tf32 = plan_gradient(calls, n_calls, options, Precision::tf32);
  return std::max(exact.layout.n_bytes, tf32.layout.n_bytes);
}

int64_t gradient_stats(const GradientCall* calls, int n_calls, const GradientOptions& options, Precision precision,
                       const GradientMemory& memory, Stream stream) {
  const DevicePlan plan = plan_gradient(calls, n_calls, options, precision);
  const bool has_weight = options.batch_gradient && options.weight;
  const DeviceWeight weight = has_weight ? device_weight(*options.weight, plan) : DeviceWeight{};
  const simt::DeviceScope device(stream.device);
  const auto queue = static_cast<simt::Stream>(stream.handle);
  if (plan.n_weights() == 0) {
    simt::set_zero(memory.statistics, statistic::kCount * static_cast<int64_t>(sizeof(double)), queue);
  } else {
    const Workspace workspace{plan, static_cast<char*>(memory.workspace)};
    upload(uploaded_tables(plan).data(), plan.layout.n_uploaded, memory.workspace, queue);
    scan_operands(plan, options, workspace, memory, queue);
    compute_moments(plan, options, workspace, queue);
    add_up(plan, options, workspace, has_weight ? &weight : nullptr, memory.statistics, queue);
  }
  if (options.moments) options.moments->count += plan.n_samples;
  return plan.n_weights();
}

}  // namespace cuda
}  // namespace lswag
