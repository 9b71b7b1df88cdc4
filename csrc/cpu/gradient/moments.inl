// Merging running moments, and adding the weights up to the statistics.

// Chan, Golub, LeVeque (1979). Exact where both sides have the same mean and no spread.
template <class T>
static void merge(T* into, const T* from, int64_t n, bool batch_gradient, int64_t count_into, int64_t count_from) {
  const T share = static_cast<T>(count_from) / static_cast<T>(count_into + count_from);
  const T spread = static_cast<T>(count_into) * share;
  for (int64_t k = 0; k < n; ++k) {
    const T difference = from[k] - into[k];
    into[k] += difference * share;
    into[n + k] += from[n + k] + difference * difference * spread;
  }
  if (!batch_gradient) return;
  for (int64_t k = 2 * n; k < 3 * n; ++k) into[k] += (from[k] - into[k]) * share;
}

static inline float square_root(float value) { return __builtin_sqrtf(value); }
static inline double square_root(double value) { return __builtin_sqrt(value); }
static inline double absolute(double value) { return __builtin_fabs(value); }

// 1 / sqrt(v), lane by lane: there is no such vector operator, but a plain loop becomes one instruction.
template <class T>
static inline __attribute__((always_inline)) Vec<T> inverse_square_root(Vec<T> v) {
  T lanes[kLanes<T>];
  store(lanes, v);
  for (int k = 0; k < kLanes<T>; ++k) lanes[k] = T(1) / square_root(lanes[k]);
  return load(lanes);
}

template <class T>
static inline __attribute__((always_inline)) void add_lanes(double* sums, Vec<T> v) {
  T lanes[kLanes<T>];
  store(lanes, v);
  for (int k = 0; k < kLanes<T>; ++k) sums[k] += static_cast<double>(lanes[k]);
}

// Partial sums by lane, with masks (all bits set or none) in place of branches.
template <class T>
struct LaneSums {
  using Bits = typename Wide<T>::Bits;
  double inv_sigma[kLanes<T>] = {};
  double mu_over_sigma[kLanes<T>] = {};
  Bits n_zero = {};
  Bits n_nonfinite = {};

  inline __attribute__((always_inline)) void add(Vec<T> mean, Vec<T> m2, Bits used, Vec<T> inv_count,
                                                 const Vec<T> (&band)[2]) {
    const Vec<T> one = splat(T(1));
    const Vec<T> variance = m2 * inv_count;
    // x - x is zero for finite x only.
    const Bits finite = used & (m2 - m2 == Vec<T>{}) & (mean - mean == Vec<T>{});
    const Bits rounding = (variance > band[0]) & (variance <= band[1]);
    const Bits varies = finite & (variance >= splat(static_cast<T>(kLeastVariance))) & ~rounding;
    const Vec<T> safe = (Vec<T>)((varies & (Bits)variance) | (~varies & (Bits)one));
    const Vec<T> inv_sigma_v = inverse_square_root<T>(safe);
    add_lanes<T>(inv_sigma, (Vec<T>)(varies & (Bits)inv_sigma_v));
    add_lanes<T>(mu_over_sigma, (Vec<T>)(varies & (Bits)(mean * inv_sigma_v)));
    n_zero -= finite & ~varies;
    n_nonfinite -= used & ~finite;
  }

  void into(double* statistics) const {
    for (int k = 0; k < kLanes<T>; ++k) {
      statistics[statistic::sum_inv_sigma] += inv_sigma[k];
      statistics[statistic::sum_mu_over_sigma] += mu_over_sigma[k];
      statistics[statistic::n_zero_variance] += static_cast<double>(n_zero[k]);
      statistics[statistic::n_nonfinite] += static_cast<double>(n_nonfinite[k]);
    }
  }
};

// Mask of the first n lanes.
template <class T>
static inline __attribute__((always_inline)) typename Wide<T>::Bits first_lanes(int n) {
  typename Wide<T>::Bits index;
  for (int k = 0; k < kLanes<T>; ++k) index[k] = k;
  return index < n - typename Wide<T>::Bits{};
}

#define LSWAG_INLINE static inline __attribute__((always_inline))
#include "common/batch_gradient.inl"

template <class T>
static void add_batch_gradients(const FinishJob<T>& job, int vector, double* statistics) {
  const int64_t n = static_cast<int64_t>(job.n_vectors) * kLanes<T>;
  const T* state = job.state + vector * kLanes<T>;
  const double count = static_cast<double>(job.count);
  // A copy that no pointer leads to stays in registers.
  double sums[statistic::kCount];
#pragma GCC unroll 32
  for (int k = 0; k < statistic::kCount; ++k) sums[k] = statistics[k];
  for (int k = 0; k < job.valid[vector]; ++k) {
    const double mean = state[k];
    const double m2 = state[n + k];
    const double signed_mean = state[2 * n + k];
    if (!(m2 - m2 == 0) || !(mean - mean == 0) || !(signed_mean - signed_mean == 0)) continue;
    const double weight = job.weight ? job.weight[vector * kLanes<T> + k] : T(0);
    add_batch_gradient(mean, m2, signed_mean, count, job.xi, job.squared_rounding, job.weight ? &weight : nullptr,
                       sums);
  }
#pragma GCC unroll 32
  for (int k = 0; k < statistic::kCount; ++k) statistics[k] = sums[k];
}

template <class T>
static void finish(const FinishJob<T>& job, double* statistics) {
  const int64_t n = static_cast<int64_t>(job.n_vectors) * kLanes<T>;
  const Vec<T> inv_count = splat(T(1) / static_cast<T>(job.count));
  const double squared = job.squared_rounding;
  const Vec<T> band[] = {splat(static_cast<T>(squared * kSquaredBand)), splat(static_cast<T>(squared))};
  LaneSums<T> lanes;
  for (int v = 0; v < job.n_vectors; ++v) {
    const T* mean = job.state + v * kLanes<T>;
    lanes.add(load(mean), load(mean + n), first_lanes<T>(job.valid[v]), inv_count, band);
    if (job.batch_gradient) add_batch_gradients(job, v, statistics);
  }
  lanes.into(statistics);
}
