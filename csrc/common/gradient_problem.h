// The calls of one weight as the kernels walk them: samples, positions and features with their strides, shapes checked.
#pragma once

#include <vector>

#include "kernels.h"

namespace lswag {

// One operand of a call: samples x positions x features. Adjacent position dimensions are merged where strides allow.
struct Operand {
  View view;
  int64_t sample_stride = 0;
  int64_t feature_stride = 0;
  int64_t n_features = 0;
  int n_dims = 0;  // position dimensions; 0 stands for one position
  int64_t size[kMaxDims] = {};
  int64_t stride[kMaxDims] = {};
};

// Line and column of a convolution's planes; conv1d has one line.
struct Extent {
  int64_t h = 1;
  int64_t w = 1;
};

struct CallOperands {
  Operand x;
  Operand grad;
  int64_t n_positions = 0;  // of grad
  Extent in;                // convolutions only
  Extent out;
};

struct Conv {
  Extent kernel, stride, padding{0, 0}, dilation;
  int64_t groups = 1;
};

// How the per-sample gradient is formed.
enum class Form {
  panel,     // linear, and convolutions that are linear maps of positions: x packed tile by tile
  plane,     // x of a group copied to zero-margined planes with the channels innermost; taps are shifts
  depthwise  // the same with one channel per group: output rows are the lanes
};

struct Problem {
  Form form = Form::panel;
  Conv conv;
  std::vector<CallOperands> calls;
  int64_t n_samples = 0;
  int64_t n_rows = 0;       // O
  int64_t n_columns = 0;    // K: I, or C / groups * taps
  int64_t n_positions = 0;  // of all calls together
};

// Whether anything is computed in double: some operand is float64.
bool computes_in_double(const GradientCall* calls, int n_calls);

// Where there are too few tiles to occupy a machine, the samples are cut into parts, whose moments are merged. A part
// has at least so many samples, or merging costs more than it gains.
constexpr int64_t kPartSamples = 4;

// The selected blocks of kRowBlock output rows, increasing; all where options.row_blocks is null. Throws
// std::invalid_argument for others.
std::vector<int64_t> selected_blocks(const GradientOptions& options, int64_t n_rows);

// Throws std::invalid_argument unless the weight is (O, K...).
void check_weight(const View& weight, int64_t n_rows, int64_t n_columns);

// Throws std::invalid_argument where shapes do not fit together.
Problem describe_problem(const GradientCall* calls, int n_calls, const ConvGeometry* conv);

}  // namespace lswag
