// How the work of one weight is cut for the device, and where its tables and intermediate results lie in the workspace.
#pragma once

#include <cstdint>
#include <vector>

#include "common/gradient_problem.h"
#include "cuda/gradient/call.h"
#include "kernels.h"

namespace lswag {
namespace cuda {

enum class Arithmetic { f32, f64, tf32, bf16, f16 };

constexpr int64_t kCounters = 2;  // of the blocks that are done, for the scan and for the end; zero at first

// Byte offsets in the workspace. What the host prepares comes first.
struct WorkspaceLayout {
  int64_t calls = 0;
  int64_t row_tiles = 0;
  int64_t row_blocks = 0;
  int64_t counters = 0;
  int64_t n_uploaded = 0;
  int64_t exponents = 0;
  int64_t rounding = 0;
  int64_t samples = 0;
  int64_t partials = 0;
  int64_t states = 0;
  int64_t n_bytes = 0;
};

struct DevicePlan {
  Arithmetic arithmetic = Arithmetic::f32;
  bool is_conv = false;
  DeviceConv conv = {};
  int64_t n_samples = 0;
  int64_t n_positions = 0;
  int64_t n_all_rows = 0;
  int64_t n_rows = 0;  // selected
  int64_t n_columns = 0;
  int64_t n_column_tiles = 0;
  int64_t n_parts = 1;
  std::vector<DeviceCall> calls;  // those with positions
  std::vector<RowTile> row_tiles;
  std::vector<int64_t> row_blocks;
  WorkspaceLayout layout;

  int64_t n_weights() const { return n_rows * n_columns; }
  int64_t number_bytes() const { return arithmetic == Arithmetic::f64 ? 8 : 4; }
};

// Throws std::invalid_argument where shapes do not fit, or are beyond what the kernels count in 32 bits.
DevicePlan plan_gradient(const GradientCall* calls, int n_calls, const GradientOptions& options, Precision precision);

// The part of the workspace that the host prepares.
std::vector<char> uploaded_tables(const DevicePlan& plan);

}  // namespace cuda
}  // namespace lswag
