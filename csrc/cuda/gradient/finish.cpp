// Merges the parts of a batch and the chunks before it, and adds the weights up; float64 in a fixed order.
#include "cuda/gradient/finish.h"

#include <algorithm>
#include <cmath>

#include "common/rounding.h"
#include "cuda/gradient/moments.h"
#include "cuda/simt/combine_threads.h"

namespace lswag {
namespace cuda {
namespace {

constexpr int kBlock = 256;
constexpr int64_t kWeightsPerThread = 4;

// Moments over `count` samples.
template <class T>
struct WeightMoments {
  T mean;
  T m2;
  T signed_mean;

  SIMT_DEVICE void scale(T factor) {
    mean *= factor;
    m2 = m2 * factor * factor;  // the square of the factor may leave the range
    signed_mean *= factor;
  }

  // Chan, Golub, LeVeque (1979). Exact where both sides have the same mean and no spread.
  SIMT_DEVICE void merge(int64_t count, const WeightMoments& from, int64_t count_from) {
    const T share = static_cast<T>(count_from) / static_cast<T>(count + count_from);
    const T spread = static_cast<T>(count) * share;
    const T difference = from.mean - mean;
    mean += difference * share;
    m2 += from.m2 + difference * difference * spread;
    signed_mean += (from.signed_mean - signed_mean) * share;
  }
};

#define LSWAG_INLINE SIMT_DEVICE
SIMT_DEVICE double square_root(double value) { return sqrt(value); }
SIMT_DEVICE double absolute(double value) { return fabs(value); }
#include "common/batch_gradient.inl"

struct Combine {
  SIMT_DEVICE double operator()(int index, double a, double b) const { return statistic::combined(index, a, b); }
};

SIMT_DEVICE bool is_finite(double value) { return value - value == 0; }

template <class T>
struct Finish {
  static constexpr int kThreads = kBlock;
  using Moments = WeightMoments<T>;

  FinishJob job;
  int64_t n_blocks;

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(double, values, statistic::kCount* kThreads);
    double statistics[statistic::kCount] = {};
    const int64_t n_weights = job.n_rows * job.n_columns;
    const int thread = simt::thread_index();
    const int64_t block = simt::block_index().x;
    const double xi = ldexp(job.xi, 2 * (job.exponents[0] + job.exponents[1]));
    const double rounding = job.rounding[0];
    for (int64_t w = block * kThreads + thread; w < n_weights; w += n_blocks * kThreads) {
      add_weight(w, merged(w), xi, rounding, statistics);
    }
    for (int k = 0; k < statistic::kCount; ++k) values[k * kThreads + thread] = statistics[k];
    combine_threads<statistic::kCount, kThreads>(values, Combine());
    if (thread < statistic::kCount) job.partials[block * statistic::kCount + thread] = values[thread * kThreads];
    if (simt::is_last_block(job.counter, n_blocks)) add_blocks(values);
  }

  // The statistics of all blocks, in units of the gradients as they came.
  SIMT_DEVICE void add_blocks(const simt::Shared<double>& values) const {
    const int thread = simt::thread_index();
    for (int k = 0; k < statistic::kCount; ++k) {
      double value = 0;
      for (int64_t block = thread; block < n_blocks; block += kThreads) {
        value = statistic::combined(k, value, job.partials[block * statistic::kCount + k]);
      }
      values[k * kThreads + thread] = value;
    }
    combine_threads<statistic::kCount, kThreads>(values, Combine());
    if (thread >= statistic::kCount) return;
    const int exponent = job.exponents[0] + job.exponents[1];
    const int power = -statistic::info(thread).power * exponent;
    job.statistics[thread] = ldexp(static_cast<double>(values[thread * kThreads]), power);
  }

  SIMT_DEVICE Moments state(int64_t part, int64_t w) const {
    const int64_t n_weights = job.n_rows * job.n_columns;
    const int n_arrays = job.batch_gradient ? 3 : 2;
    const simt::Global<const T> states(static_cast<const T*>(job.states), job.n_parts * n_arrays * n_weights);
    const int64_t first = part * n_arrays * n_weights + w;
    return {states[first], states[first + n_weights], job.batch_gradient ? states[first + 2 * n_weights] : T(0)};
  }

  // Over all samples so far.
  SIMT_DEVICE Moments merged(int64_t w) const {
    Moments moments = state(0, w);
    for (int64_t part = 1; part < job.n_parts; ++part) {
      const int64_t first = part_begin(job.n_samples, job.n_parts, part);
      moments.merge(first, state(part, w), part_begin(job.n_samples, job.n_parts, part + 1) - first);
    }
    return job.mean ? continued(w, moments) : moments;
  }

  SIMT_DEVICE Moments continued(int64_t w, Moments moments) const {
    const int64_t n_all = job.n_all_rows * job.n_columns;
    const int64_t place = job.rows.at(w / job.n_columns) * job.n_columns + w % job.n_columns;
    const simt::Global<T> mean(static_cast<T*>(job.mean), n_all);
    const simt::Global<T> m2(static_cast<T*>(job.m2), n_all);
    const simt::Global<T> signed_mean(static_cast<T*>(job.signed_mean), n_all);
    if (job.count_before > 0) {
      Moments before{mean[place], m2[place], job.batch_gradient ? T(signed_mean[place]) : T(0)};
      before.scale(power_of_two<T>(job.exponents[2]));
      before.merge(job.count_before, moments, job.n_samples);
      moments = before;
    }
    mean[place] = moments.mean;
    m2[place] = moments.m2;
    if (job.batch_gradient) signed_mean[place] = moments.signed_mean;
    return moments;
  }

  SIMT_DEVICE void add_weight(int64_t w, const Moments& moments, double xi, double rounding,
                              double (&statistics)[statistic::kCount]) const {
    if (!is_finite(moments.mean) || !is_finite(moments.m2)) {
      statistics[statistic::n_nonfinite] += 1;
      return;
    }
    const T variance = moments.m2 / static_cast<T>(job.count_before + job.n_samples);
    if (varies(variance, rounding)) {
      const T inv_sigma = T(1) / sqrt(variance);
      statistics[statistic::sum_inv_sigma] += inv_sigma;
      statistics[statistic::sum_mu_over_sigma] += moments.mean * inv_sigma;
    } else {
      statistics[statistic::n_zero_variance] += 1;
    }
    if (!job.batch_gradient || !is_finite(moments.signed_mean)) return;
    const double count = static_cast<double>(job.count_before + job.n_samples);
    const double weight = job.has_weight ? weight_at(w) : 0;
    add_batch_gradient(moments.mean, moments.m2, moments.signed_mean, count, xi, rounding,
                       job.has_weight ? &weight : nullptr, statistics);
  }

  SIMT_DEVICE double weight_at(int64_t w) const {
    int64_t offset = job.rows.at(w / job.n_columns) * job.weight.stride[0];
    int64_t rest = w % job.n_columns;
    for (int d = job.weight.n_dims - 1; d >= 1; --d) {
      offset += rest % job.weight.size[d] * job.weight.stride[d];
      rest /= job.weight.size[d];
    }
    return read_number<T>(job.weight.view, offset);
  }
};

template <class T>
void launch_finish(const FinishJob& job, simt::Stream stream) {
  const int64_t n_blocks = finish_blocks(job.n_rows * job.n_columns);
  simt::launch(Finish<T>{job, n_blocks}, {static_cast<unsigned>(n_blocks), 1, 1}, stream);
}

}  // namespace

int64_t finish_blocks(int64_t n_weights) {
  constexpr int64_t kPerBlock = kBlock * kWeightsPerThread;
  return std::min(kMaxFinishBlocks, ceil_div(n_weights, kPerBlock));
}

void launch_finish_f32(const FinishJob& job, simt::Stream stream) { launch_finish<float>(job, stream); }
void launch_finish_f64(const FinishJob& job, simt::Stream stream) { launch_finish<double>(job, stream); }

}  // namespace cuda
}  // namespace lswag
