// One block looks at evenly spread elements of the first sample that is not zero; the largest magnitude becomes
// about 1.
#include "cuda/gradient/exponents.h"

#include <cmath>

namespace lswag {
namespace cuda {
namespace {

struct ChooseExponents {
  static constexpr int kThreads = 256;

  ExponentsJob job;

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(double, largest, kThreads);
    Exponents chosen{scan(largest, true), 0};
    if (job.is_fixed) {
      chosen = split_exponent(job.moments[0], chosen.x, job.limit);
    } else {
      chosen.grad = scan(largest, false);
    }
    if (simt::thread_index() > 0) return;
    job.exponents[0] = chosen.x;
    job.exponents[1] = chosen.grad;
    if (job.has_moments && !job.is_fixed) job.moments[0] = chosen.sum();
  }

  SIMT_DEVICE int scan(const simt::Shared<double>& largest, bool of_x) const {
    for (int64_t b = 0; b < job.n_samples && b < kScanSamples; ++b) {
      double found = 0;
      for (int c = 0; c < job.n_calls; ++c)
        found = larger(found, scan_call(of_x ? job.calls[c].x : job.calls[c].grad, b));
      found = largest_of_block(largest, found);
      if (found > 0) return clamp_exponent(-ilogb(found), job.limit);
    }
    return 0;
  }

  // The largest finite magnitude that this thread sees.
  SIMT_DEVICE double scan_call(const DeviceOperand& operand, int64_t b) const {
    int64_t n = operand.n_features;
    for (int d = 0; d < operand.n_dims; ++d) n *= operand.size[d];
    const int64_t step = scan_step(n);
    double found = 0;
    for (int64_t k = simt::thread_index() * step; k < n; k += kThreads * step) {
      const int64_t offset = b * operand.sample_stride + position_offset(operand, k / operand.n_features) +
                             k % operand.n_features * operand.feature_stride;
      const double value = read_number<double>(operand, offset);
      const double magnitude = value < 0 ? -value : value;
      if (magnitude - magnitude == 0) found = larger(found, magnitude);
    }
    return found;
  }

  SIMT_DEVICE static double larger(double a, double b) { return a < b ? b : a; }

  SIMT_DEVICE static double largest_of_block(const simt::Shared<double>& largest, double mine) {
    const int thread = simt::thread_index();
    simt::sync_threads();  // everyone has read the result before
    largest[thread] = mine;
    for (int half = kThreads / 2; half > 0; half /= 2) {
      simt::sync_threads();
      if (thread < half) largest[thread] = larger(largest[thread], largest[thread + half]);
    }
    simt::sync_threads();
    return largest[0];
  }
};

}  // namespace

void launch_exponents(const ExponentsJob& job, simt::Stream stream) {
  simt::launch(ChooseExponents{job}, {1, 1, 1}, stream);
}

}  // namespace cuda
}  // namespace lswag
