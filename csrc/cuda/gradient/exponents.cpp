// One block looks at evenly spread elements of the first sample that is not zero; the largest magnitude becomes
// about 1.
#include "cuda/gradient/exponents.h"

#include <cmath>

namespace lswag {
namespace cuda {
namespace {

constexpr int64_t kScanSamples = 64;
constexpr int64_t kScanElements = 1024;  // of each operand of a sample

struct ChooseExponents {
  static constexpr int kThreads = 256;

  ExponentsJob job;

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(double, largest, kThreads);
    int x = scan(largest, true);
    int grad = 0;
    if (job.is_fixed) {
      const int sum = job.moments[0];
      grad = clamp(sum - x);
      x = sum - grad;
    } else {
      grad = scan(largest, false);
    }
    if (simt::thread_index() > 0) return;
    job.exponents[0] = x;
    job.exponents[1] = grad;
    if (job.has_moments && !job.is_fixed) job.moments[0] = x + grad;
  }

  SIMT_DEVICE int clamp(int exponent) const {
    return exponent < -job.limit ? -job.limit : exponent > job.limit ? job.limit : exponent;
  }

  SIMT_DEVICE int scan(const simt::Shared<double>& largest, bool of_x) const {
    for (int64_t b = 0; b < job.n_samples && b < kScanSamples; ++b) {
      double found = 0;
      for (int c = 0; c < job.n_calls; ++c)
        found = larger(found, scan_call(of_x ? job.calls[c].x : job.calls[c].grad, b));
      found = largest_of_block(largest, found);
      if (found > 0) return clamp(-ilogb(found));
    }
    return 0;
  }

  // The largest finite magnitude that this thread sees.
  SIMT_DEVICE double scan_call(const DeviceOperand& operand, int64_t b) const {
    int64_t n = operand.n_features;
    for (int d = 0; d < operand.n_dims; ++d) n *= operand.size[d];
    const int64_t step = n / kScanElements | 1;  // odd, or every step might meet the same feature
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
