#include "cuda/gradient/plan.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "common/integers.h"
#include "cuda/gradient/finish.h"
#include "cuda/gradient/math.h"
#include "cuda/gradient/scan.h"
#include "cuda/simt/extent.h"

namespace lswag {
namespace cuda {
namespace {

constexpr int64_t kEnoughBlocks = 512;  // with fewer tiles the samples are cut into parts; the same on every device
constexpr int64_t kMaxParts = 8;        // each has its own state
constexpr int64_t kAlignment = 256;     // of the regions of the workspace
constexpr int64_t kVectorBytes = 16;
constexpr int64_t kMaxIndex = (int64_t{1} << 31) - 1;

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

int narrow(int64_t value, const char* what) {
  if (value > kMaxIndex) refuse(std::string(what) + " of 2^31 and more are not supported on a CUDA device");
  return static_cast<int>(value);
}

Arithmetic choose_arithmetic(const GradientCall* calls, int n_calls, Precision precision) {
  if (computes_in_double(calls, n_calls)) return Arithmetic::f64;
  bool same = true;
  for (int c = 0; c < n_calls; ++c) {
    for (DType dtype : {calls[c].x.dtype, calls[c].grad_out.dtype}) same = same && dtype == calls[0].x.dtype;
  }
  if (same && calls[0].x.dtype == DType::bf16) return Arithmetic::bf16;
  if (same && calls[0].x.dtype == DType::f16) return Arithmetic::f16;
  return precision == Precision::tf32 ? Arithmetic::tf32 : Arithmetic::f32;
}

struct TileSize {
  int64_t rows;
  int64_t columns;
  DType storage;
};

template <class Math>
TileSize tile_size(DType storage) {
  return {Math::kTileRows, Math::kTileColumns, storage};
}

TileSize tile_of(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::f64:
      return tile_size<Float64Math>(DType::f64);
    case Arithmetic::tf32:
      return tile_size<Tf32Math>(DType::f32);
    case Arithmetic::bf16:
      return tile_size<Bfloat16Math>(DType::bf16);
    case Arithmetic::f16:
      return tile_size<Float16Math>(DType::f16);
    default:
      return tile_size<Float32Math>(DType::f32);
  }
}

// Whether every group of 16 bytes of features begins at a multiple of 16.
bool has_vectors(const DeviceOperand& operand) {
  const int64_t bytes = element_bytes(operand.dtype);
  bool aligned = operand.feature_stride == 1 && reinterpret_cast<uintptr_t>(operand.data) % kVectorBytes == 0 &&
                 operand.sample_stride * bytes % kVectorBytes == 0;
  for (int d = 0; d < operand.n_dims; ++d) aligned = aligned && operand.stride[d] * bytes % kVectorBytes == 0;
  return aligned;
}

CopyMode copy_mode(const DeviceOperand& operand, DType storage, bool may_have_vectors) {
  if (operand.dtype != storage) return CopyMode::converted;
  if (may_have_vectors && has_vectors(operand)) return CopyMode::vectors;
  return element_bytes(storage) >= 4 ? CopyMode::elements : CopyMode::converted;
}

DeviceOperand device_operand(const Operand& operand) {
  DeviceOperand device{};
  const OffsetRange range = offset_range(operand.view);
  device.data = operand.view.data;
  device.begin = range.begin;
  device.end = range.end;
  device.sample_stride = operand.sample_stride;
  device.feature_stride = operand.feature_stride;
  device.n_features = operand.n_features;
  device.n_dims = operand.n_dims;
  std::copy(operand.size, operand.size + operand.n_dims, device.size);
  std::copy(operand.stride, operand.stride + operand.n_dims, device.stride);
  device.dtype = operand.view.dtype;
  const int inner = device.n_dims - 1;
  device.positions_inside = inner >= 0 && std::abs(device.stride[inner]) < std::abs(device.feature_stride);
  return device;
}

// The planes of a convolution's x keep both dimensions, also of size 1.
void set_planes(DeviceOperand& x, const View& view) {
  const bool flat = view.ndim == 3;
  x.n_dims = 2;
  x.size[0] = flat ? 1 : view.size[2];
  x.stride[0] = flat ? 0 : view.stride[2];
  x.size[1] = view.size[view.ndim - 1];
  x.stride[1] = view.stride[view.ndim - 1];
  x.positions_inside = std::abs(x.stride[1]) < std::abs(x.feature_stride);
}

DeviceCall device_call(const CallOperands& call, const DevicePlan& plan, DType storage, int64_t groups) {
  DeviceCall device{device_operand(call.x), device_operand(call.grad), narrow(call.n_positions, "positions"),
                    narrow(call.out.w, "planes")};
  if (plan.is_conv) set_planes(device.x, call.x.view);
  device.x.copy = copy_mode(device.x, storage, !plan.is_conv);
  // The rows of a group may begin anywhere; those of a weight without groups, and its row blocks, begin aligned.
  device.grad.copy = copy_mode(device.grad, storage, groups == 1);
  return device;
}

DeviceConv device_conv(const Problem& problem) {
  const Conv& conv = problem.conv;
  const int64_t channels = problem.n_columns / (conv.kernel.h * conv.kernel.w);
  return {
      narrow(conv.kernel.h, "kernels"),     narrow(conv.kernel.w, "kernels"),     narrow(conv.stride.h, "strides"),
      narrow(conv.stride.w, "strides"),     narrow(conv.padding.h, "paddings"),   narrow(conv.padding.w, "paddings"),
      narrow(conv.dilation.h, "dilations"), narrow(conv.dilation.w, "dilations"), narrow(channels, "channels")};
}

// Selected rows in order, cut where a group or a tile ends.
void cut_rows(DevicePlan& plan, int64_t rows_per_group, int64_t tile_rows) {
  const auto row_at = [&plan](int64_t row) {
    return plan.row_blocks.empty() ? row : plan.row_blocks[row / kRowBlock] * kRowBlock + row % kRowBlock;
  };
  for (int64_t first = 0; first < plan.n_rows;) {
    const int64_t group = row_at(first) / rows_per_group;
    int64_t n = 1;
    while (n < tile_rows && first + n < plan.n_rows && row_at(first + n) / rows_per_group == group) ++n;
    plan.row_tiles.push_back({first, static_cast<int32_t>(n), narrow(group, "groups")});
    first += n;
  }
}

void select_rows(DevicePlan& plan, const GradientOptions& options) {
  plan.n_rows = plan.n_all_rows;
  if (!options.row_blocks) return;
  plan.row_blocks = selected_blocks(options, plan.n_all_rows);
  plan.n_rows = static_cast<int64_t>(plan.row_blocks.size()) * kRowBlock;
  const bool has_last = !plan.row_blocks.empty() && (plan.row_blocks.back() + 1) * kRowBlock > plan.n_all_rows;
  if (has_last)
    plan.n_rows -= (plan.row_blocks.back() + 1) * kRowBlock - plan.n_all_rows;  // the last block may be short
}

WorkspaceLayout lay_out(const DevicePlan& plan, bool batch_gradient) {
  WorkspaceLayout layout;
  int64_t end = 0;
  const auto reserve = [&end](int64_t n_bytes) {
    const int64_t begin = end;
    end += ceil_div(n_bytes, kAlignment) * kAlignment;
    return begin;
  };
  layout.calls = reserve(static_cast<int64_t>(plan.calls.size() * sizeof(DeviceCall)));
  layout.row_tiles = reserve(static_cast<int64_t>(plan.row_tiles.size() * sizeof(RowTile)));
  layout.row_blocks = reserve(static_cast<int64_t>(plan.row_blocks.size() * sizeof(int64_t)));
  layout.counters = reserve(kCounters * static_cast<int64_t>(sizeof(simt::Word)));
  layout.n_uploaded = end;
  layout.exponents = reserve(kExponents * sizeof(int32_t));
  layout.rounding = reserve(sizeof(double));
  layout.samples = reserve(plan.n_samples * kSampleValues * static_cast<int64_t>(sizeof(double)));
  layout.partials = reserve(finish_blocks(plan.n_weights()) * statistic::kCount * static_cast<int64_t>(sizeof(double)));
  layout.states = reserve(plan.n_parts * (batch_gradient ? 3 : 2) * plan.n_weights() * plan.number_bytes());
  layout.n_bytes = end;
  return layout;
}

template <class T>
void place(std::vector<char>& bytes, int64_t at, const std::vector<T>& values) {
  if (!values.empty()) std::memcpy(bytes.data() + at, values.data(), values.size() * sizeof(T));
}

}  // namespace

DevicePlan plan_gradient(const GradientCall* calls, int n_calls, const GradientOptions& options, Precision precision) {
  const Problem problem = describe_problem(calls, n_calls, options.conv);
  DevicePlan plan;
  plan.arithmetic = choose_arithmetic(calls, n_calls, precision);
  plan.is_conv = problem.form != Form::panel;
  if (plan.is_conv) plan.conv = device_conv(problem);
  const TileSize tile = tile_of(plan.arithmetic);
  plan.n_samples = problem.n_samples;
  plan.n_positions = problem.n_positions;
  plan.n_all_rows = problem.n_rows;
  plan.n_columns = problem.n_columns;
  narrow(plan.n_columns, "columns");
  select_rows(plan, options);
  if (plan.n_weights() == 0) return plan;
  for (const CallOperands& call : problem.calls) {
    if (call.n_positions > 0) plan.calls.push_back(device_call(call, plan, tile.storage, problem.conv.groups));
  }
  cut_rows(plan, problem.n_rows / problem.conv.groups, tile.rows);
  plan.n_column_tiles = ceil_div(plan.n_columns, tile.columns);
  const int64_t n_tiles = static_cast<int64_t>(plan.row_tiles.size()) * plan.n_column_tiles;
  narrow(n_tiles, "tiles");
  plan.n_parts =
      std::clamp<int64_t>(std::min(ceil_div(kEnoughBlocks, n_tiles), plan.n_samples / kPartSamples), 1, kMaxParts);
  plan.layout = lay_out(plan, options.batch_gradient);
  return plan;
}

std::vector<char> uploaded_tables(const DevicePlan& plan) {
  std::vector<char> bytes(plan.layout.n_uploaded);
  place(bytes, plan.layout.calls, plan.calls);
  place(bytes, plan.layout.row_tiles, plan.row_tiles);
  place(bytes, plan.layout.row_blocks, plan.row_blocks);
  return bytes;
}

}  // namespace cuda
}  // namespace lswag
