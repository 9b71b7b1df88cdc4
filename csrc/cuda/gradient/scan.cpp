// One block for each sample looks at evenly spread elements of its operands; the last of them puts the samples
// together.
#include "cuda/gradient/scan.h"

#include <cmath>

#include "common/rounding.h"
#include "cuda/simt/combine_threads.h"

namespace lswag {
namespace cuda {
namespace {

constexpr int kBlock = 256;

SIMT_DEVICE double larger(double a, double b) { return a < b ? b : a; }

// Sums in the last row, the largest in the others.
template <int kRows>
struct LargestAndSum {
  SIMT_DEVICE double operator()(int row, double a, double b) const { return row < kRows - 1 ? larger(a, b) : a + b; }
};

struct Scan {
  static constexpr int kThreads = kBlock;

  ScanJob job;

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(double, values, kSampleValues* kThreads);
    const int64_t b = simt::block_index().x;
    double largest[2] = {};
    double mean_square[2] = {};
    for (int c = 0; c < job.n_calls; ++c) {
      const DeviceCall& call = job.calls[c];
      const double share = static_cast<double>(call.n_positions) / static_cast<double>(job.n_positions);
      for (int k = 0; k < 2; ++k) add(values, k ? call.grad : call.x, b, share, largest[k], mean_square[k]);
    }
    if (simt::thread_index() == 0) {
      job.samples[b * kSampleValues] = largest[0];
      job.samples[b * kSampleValues + 1] = largest[1];
      job.samples[b * kSampleValues + 2] = mean_square[0] * mean_square[1];
    }
    if (simt::is_last_block(job.counter, job.n_samples)) combine_samples(values);
  }

  SIMT_DEVICE static void add(const simt::Shared<double>& values, const DeviceOperand& operand, int64_t b, double share,
                              double& largest, double& mean_square) {
    int64_t n = operand.n_features;
    for (int d = 0; d < operand.n_dims; ++d) n *= operand.size[d];
    if (n == 0) return;
    int64_t step = scan_step(n);
    scan(values, operand, b, n, step);
    if (values[0] == 0 && step > 1) {
      step = 1;
      scan(values, operand, b, n, step);
    }
    largest = larger(largest, values[0]);
    mean_square += share * values[kThreads] / static_cast<double>((n + step - 1) / step);
  }

  // The largest magnitude of the block goes to values[0], the sum of squares to values[kThreads].
  SIMT_DEVICE static void scan(const simt::Shared<double>& values, const DeviceOperand& operand, int64_t b, int64_t n,
                               int64_t step) {
    const int thread = simt::thread_index();
    double largest = 0;
    double squares = 0;
    for (int64_t k = thread * step; k < n; k += kThreads * step) {
      const int64_t offset = b * operand.sample_stride + position_offset(operand, k / operand.n_features) +
                             k % operand.n_features * operand.feature_stride;
      const double value = read_number<double>(operand, offset);
      if (value - value != 0) continue;
      largest = larger(largest, value < 0 ? -value : value);
      squares += value * value;
    }
    simt::sync_threads();  // everyone has read the result before
    values[thread] = largest;
    values[kThreads + thread] = squares;
    combine_threads<2, kThreads>(values, LargestAndSum<2>());
  }

  SIMT_DEVICE void combine_samples(const simt::Shared<double>& values) const {
    const int thread = simt::thread_index();
    const LargestAndSum<kSampleValues> combine;
    for (int k = 0; k < kSampleValues; ++k) {
      double value = 0;
      for (int64_t b = thread; b < job.n_samples; b += kThreads) {
        value = combine(k, value, job.samples[b * kSampleValues + k]);
      }
      values[k * kThreads + thread] = value;
    }
    combine_threads<kSampleValues, kThreads>(values, combine);
    if (thread == 0) choose(values[0], values[kThreads], values[2 * kThreads]);
  }

  SIMT_DEVICE void choose(double largest_x, double largest_grad, double squares) const {
    const bool is_continued = job.count_before > 0;
    const int before = is_continued ? job.of_state[0] : kNoExponent;
    const ChosenExponents chosen = choose_exponents(largest_x, largest_grad, job.n_positions, job.limit, before);
    const int sum = chosen.exponents.sum();
    if (is_continued) squares += job.squares[0];
    job.exponents[0] = chosen.exponents.x;
    job.exponents[1] = chosen.exponents.grad;
    job.exponents[2] = is_continued ? sum - before : 0;
    job.rounding[0] = squared_rounding(squares, job.count_before + job.n_samples, job.n_positions, sum, job.digits);
    if (!job.has_moments) return;
    job.of_state[0] = chosen.of_state;
    job.squares[0] = squares;
  }
};

}  // namespace

void launch_scan(const ScanJob& job, simt::Stream stream) {
  simt::launch(Scan{job}, {static_cast<unsigned>(job.n_samples), 1, 1}, stream);
}

}  // namespace cuda
}  // namespace lswag
