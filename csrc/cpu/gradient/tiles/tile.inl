// The outer-product micro-kernels: a tile of one sample's weight gradient in registers, then into the running moments.

// Keeps the magnitude of a gradient, or all of it.
template <class T>
static inline __attribute__((always_inline)) Vec<T> apply_mask(Vec<T> g, typename Wide<T>::Bits mask) {
  return (Vec<T>)((typename Wide<T>::Bits)g & mask);
}

template <class T>
static inline __attribute__((always_inline)) typename Wide<T>::Bits gradient_mask(bool absolute) {
  return (absolute ? Wide<T>::kMagnitude : -1) - typename Wide<T>::Bits{};
}

template <class T>
static inline __attribute__((always_inline)) void update_signed_mean(T* mean, Vec<T> gradient, Vec<T> inv_count) {
  const Vec<T> old_mean = load(mean);
  store(mean, old_mean + (gradient - old_mean) * inv_count);
}

template <class T>
static inline __attribute__((always_inline)) void update_moments(T* mean, T* m2, Vec<T> g, Vec<T> inv_count) {
  const Vec<T> old_mean = load(mean);
  const Vec<T> deviation = g - old_mean;
  const Vec<T> new_mean = old_mean + deviation * inv_count;
  store(mean, new_mean);
  store(m2, load(m2) + deviation * (g - new_mean));
}

// Welford's update of n vectors of gradients. From an empty state (zeros, inv_count 1) the mean becomes the gradient
// and M2 stays 0 exactly, and so it is for every further equal gradient.
template <class T, int N>
static inline __attribute__((always_inline)) void update_state(const MomentsJob<T>& job, const Vec<T> (&gradient)[N]) {
  constexpr int L = kLanes<T>;
  const Vec<T> inv_count = splat(job.inv_count);
  T* mean = job.state;
  T* m2 = mean + N * L;
  if (job.batch_gradient) {
    T* signed_mean = m2 + N * L;
#pragma GCC unroll 32
    for (int j = 0; j < N; ++j) update_signed_mean(signed_mean + j * L, gradient[j], inv_count);
  }
  const auto mask = gradient_mask<T>(job.absolute);
#pragma GCC unroll 32
  for (int j = 0; j < N; ++j) {
    update_moments(mean + j * L, m2 + j * L, apply_mask<T>(gradient[j], mask), inv_count);
  }
}

// The outer products of n positions. The accumulators stay in registers since this becomes part of the caller.
template <class T, int NV>
static inline __attribute__((always_inline)) void add_positions(Vec<T> (&acc)[LSWAG_TILE_ROWS * NV], const T* grad,
                                                                const T* x, const int64_t (&offset)[NV],
                                                                int64_t col_step, int64_t n) {
  constexpr int R = LSWAG_TILE_ROWS;
  for (int64_t k = 0; k < n; ++k, x += col_step, grad += R) {
    Vec<T> columns[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) columns[v] = load(x + offset[v]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec<T> g = splat(grad[r]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[r * NV + v] += g * columns[v];
    }
  }
}

template <class T, int NV>
static void tile_of(const TileJob<T>& job) {
  constexpr int R = LSWAG_TILE_ROWS;
  Vec<T> acc[R * NV] = {};
  int64_t offset[NV];
  for (int v = 0; v < NV; ++v) offset[v] = job.offset[v];
  const char* ahead = job.ahead;
  for (int c = 0; c < job.n_calls; ++c) {
    const TileCall<T>& call = job.calls[c];
    const T* grad = call.grad;
    for (int64_t row = 0; row < call.n_rows; ++row) {
      const T* x = call.x + row * call.row_pitch;
      for (int64_t left = call.n_cols; left > 0; left -= kStretch) {
        for (int k = 0; k < job.n_ahead; ++k, ahead += job.ahead_step) __builtin_prefetch(ahead, 0, 2);  // never faults
        const int64_t n = left < kStretch ? left : kStretch;
        add_positions<T, NV>(acc, grad, x, offset, call.col_step, n);
        grad += n * R;
        x += n * call.col_step;
      }
    }
  }
  update_state<T, R * NV>(job.moments, acc);
}

template <class T>
static void tile(const TileJob<T>& job) {
  switch (job.n_vectors) {
    case 1:
      return tile_of<T, 1>(job);
    case 2:
      return tile_of<T, 2>(job);
    default:
      return tile_of<T, LSWAG_TILE_VECTORS>(job);
  }
}

// Half a slice of rows: mean and M2 of a row stay in registers over all samples.
template <class T, int NV, int Rows>
static void samples_of(const SamplesJob<T>& job, int first_row) {
  constexpr int R = LSWAG_TILE_ROWS;
  constexpr int L = kLanes<T>;
  const auto mask = gradient_mask<T>(job.absolute);
  Vec<T> mean[Rows * NV] = {};
  Vec<T> m2[Rows * NV] = {};
  const T* grad = job.grad + first_row;
  const T* x = job.x;
  for (int64_t b = 0; b < job.n_samples; ++b) {
    const Vec<T> inv_count = splat(job.inv_count[b]);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      Vec<T> acc[NV] = {};
      for (int64_t t = 0; t < job.n_positions; ++t) {
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) acc[v] += splat(grad[t * R + r]) * load(x + t * job.x_pitch + v * L);
      }
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const int j = r * NV + v;
        const Vec<T> g = apply_mask<T>(acc[v], mask);
        const Vec<T> deviation = g - mean[j];
        mean[j] += deviation * inv_count;
        m2[j] += deviation * (g - mean[j]);
      }
    }
    grad += job.n_positions * R;
    x += job.n_positions * job.x_pitch;
  }
  for (int j = 0; j < Rows * NV; ++j) {
    store(job.state + (first_row * NV + j) * L, mean[j]);
    store(job.state + ((R + first_row) * NV + j) * L, m2[j]);
  }
}

// The signed means, by a pass of their own over the samples.
template <class T, int NV>
static void signed_means_of(const SamplesJob<T>& job) {
  constexpr int R = LSWAG_TILE_ROWS;
  constexpr int L = kLanes<T>;
  for (int r = 0; r < R; ++r) {
    Vec<T> mean[NV] = {};
    for (int64_t b = 0; b < job.n_samples; ++b) {
      Vec<T> acc[NV] = {};
      for (int64_t t = b * job.n_positions; t < (b + 1) * job.n_positions; ++t) {
        for (int v = 0; v < NV; ++v) acc[v] += splat(job.grad[t * R + r]) * load(job.x + t * job.x_pitch + v * L);
      }
      for (int v = 0; v < NV; ++v) mean[v] += (acc[v] - mean[v]) * splat(job.inv_count[b]);
    }
    for (int v = 0; v < NV; ++v) store(job.state + ((2 * R + r) * NV + v) * L, mean[v]);
  }
}

template <class T, int NV>
static void tile_samples_of(const SamplesJob<T>& job) {
  constexpr int kHalf = LSWAG_TILE_ROWS / 2;
  samples_of<T, NV, kHalf>(job, 0);
  samples_of<T, NV, kHalf>(job, kHalf);
  if (job.batch_gradient) signed_means_of<T, NV>(job);
}

template <class T>
static void tile_samples(const SamplesJob<T>& job) {
  switch (job.n_vectors) {
    case 1:
      return tile_samples_of<T, 1>(job);
    case 2:
      return tile_samples_of<T, 2>(job);
    default:
      return tile_samples_of<T, LSWAG_TILE_VECTORS>(job);
  }
}

// One input channel per output row: lanes are rows, and each tap is an accumulator.
template <class T, int Taps>
static void depthwise_of(const TileJob<T>& job) {
  Vec<T> acc[Taps] = {};
  for (int c = 0; c < job.n_calls; ++c) {
    const TileCall<T>& call = job.calls[c];
    const T* grad = call.grad;
    for (int64_t row = 0; row < call.n_rows; ++row) {
      const T* x = call.x + row * call.row_pitch;
      for (int64_t col = 0; col < call.n_cols; ++col, x += call.col_step, grad += job.grad_step) {
        const Vec<T> g = load(grad);
#pragma GCC unroll 16
        for (int k = 0; k < Taps; ++k) acc[k] += g * load(x + job.offset[k]);
      }
    }
  }
  update_state<T, Taps>(job.moments, acc);
}

template <class T>
static void depthwise(const TileJob<T>& job) {
  switch (job.n_vectors) {
    case 1:
      return depthwise_of<T, 1>(job);
    case 3:
      return depthwise_of<T, 3>(job);
    case 5:
      return depthwise_of<T, 5>(job);
    default:
      return depthwise_of<T, kMaxTaps>(job);
  }
}
