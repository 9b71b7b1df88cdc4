// The choice of common/exponents.h on the device.
#pragma once

#include "common/exponents.h"
#include "cuda/gradient/call.h"
#include "cuda/simt/simt.h"

namespace lswag {
namespace cuda {

struct ExponentsJob {
  simt::Global<const DeviceCall> calls;
  int n_calls;
  int64_t n_samples;
  int limit;                        // kExponentLimit
  simt::Global<int32_t> exponents;  // of x and grad_out
  simt::Global<int32_t> moments;    // their sum, kept over the chunks of a batch
  bool has_moments;
  bool is_fixed;  // by an earlier chunk
};

void launch_exponents(const ExponentsJob& job, simt::Stream stream);

}  // namespace cuda
}  // namespace lswag
