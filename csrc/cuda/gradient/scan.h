// A look at some elements of the operands before anything is computed: the choice of common/exponents.h and the bound
// of common/rounding.h on the device.
#pragma once

#include "common/exponents.h"
#include "cuda/gradient/call.h"
#include "cuda/simt/simt.h"

namespace lswag {
namespace cuda {

constexpr int kSampleValues = 3;  // the largest magnitudes of x and of grad_out, the squared size of the gradients
constexpr int kExponents = 3;     // of x, of grad_out, and what the state of earlier chunks is to be multiplied by

struct ScanJob {
  simt::Global<const DeviceCall> calls;
  int n_calls;
  int64_t n_samples;
  int64_t n_positions;               // of all calls together
  int limit;                         // kExponentLimit
  int digits;                        // of the mantissa
  simt::Global<simt::Word> counter;  // zero
  simt::Global<double> samples;      // (samples, kSampleValues)
  simt::Global<int32_t> exponents;   // kExponents
  simt::Global<double> rounding;     // squared_rounding, one number
  simt::Global<int32_t> of_state;    // the exponent of the moments
  simt::Global<double> squares;      // of the samples in the moments
  bool has_moments;
  int64_t count_before;
};

void launch_scan(const ScanJob& job, simt::Stream stream);

}  // namespace cuda
}  // namespace lswag
