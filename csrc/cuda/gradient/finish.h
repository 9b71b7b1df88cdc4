// From the moments of every weight to the statistics over the weights.
#pragma once

#include <cstdint>

#include "cuda/gradient/call.h"
#include "cuda/simt/simt.h"

namespace lswag {
namespace cuda {

constexpr int64_t kMaxFinishBlocks = 1024;

struct DeviceWeight {
  DeviceOperand view;  // data, range and dtype
  int n_dims;
  int64_t size[kMaxDims];
  int64_t stride[kMaxDims];
};

struct FinishJob {
  const void* states;  // as MomentsJob leaves them
  int64_t n_samples;
  int64_t n_parts;
  int64_t n_rows;
  int64_t n_columns;
  int64_t n_all_rows;  // of the weight
  RowMap rows;
  bool batch_gradient;
  bool has_weight;
  DeviceWeight weight;
  double xi;
  simt::Global<const int32_t> exponents;  // as ScanJob leaves them
  simt::Global<const double> rounding;
  // Moments of earlier chunks, (all rows, columns); null without. They become those of all samples.
  void* mean;
  void* m2;
  void* signed_mean;
  int64_t count_before;
  simt::Global<simt::Word> counter;  // zero
  simt::Global<double> partials;     // (blocks, statistic::kCount)
  simt::Global<double> statistics;   // statistic::kCount
};

int64_t finish_blocks(int64_t n_weights);

void launch_finish_f32(const FinishJob& job, simt::Stream stream);
void launch_finish_f64(const FinishJob& job, simt::Stream stream);

}  // namespace cuda
}  // namespace lswag
