// Powers of two by which the operands are multiplied, so that squares of tiny or huge gradients stay in range.
#pragma once

#include "cuda/gradient/call.h"
#include "cuda/simt/simt.h"

namespace lswag {
namespace cuda {

struct ExponentsJob {
  simt::Global<const DeviceCall> calls;
  int n_calls;
  int64_t n_samples;
  int limit;                        // of an exponent: it and its opposite are those of normal numbers
  simt::Global<int32_t> exponents;  // of x and grad_out
  simt::Global<int32_t> moments;    // their sum, kept over the chunks of a batch
  bool has_moments;
  bool is_fixed;  // by an earlier chunk
};

void launch_exponents(const ExponentsJob& job, simt::Stream stream);

}  // namespace cuda
}  // namespace lswag
