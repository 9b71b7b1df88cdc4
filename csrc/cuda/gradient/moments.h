// The mean and M2 (sum of squared deviations) over the samples of every element of a weight's gradient.
//
// A block has a tile of the weight and a run of samples (a part). It walks over the samples and, within one, over
// chunks of positions; while one chunk is multiplied, the next is on its way to shared memory. The gradient of a sample
// and its moments never leave the registers.
//
// One position a sample (heads) goes the same way: as two products of matrices the moments would cancel in float32.
#pragma once

#include <cstdint>

#include "common/exponents.h"
#include "common/integers.h"
#include "cuda/gradient/call.h"
#include "cuda/gradient/load.h"
#include "cuda/gradient/math.h"
#include "cuda/simt/simt.h"

namespace lswag {
namespace cuda {

struct MomentsJob {
  simt::Global<const DeviceCall> calls;  // each with at least one position
  int n_calls;
  simt::Global<const RowTile> row_tiles;
  int64_t n_column_tiles;
  RowMap rows;
  DeviceConv conv;
  simt::Global<const int32_t> exponents;  // of x and grad_out
  void* states;    // (parts, arrays, rows, columns) numbers: mean, M2, with the batch gradient signed mean
  int64_t n_rows;  // selected
  int64_t n_columns;
  int64_t n_samples;
  int64_t n_parts;
  int64_t n_row_tiles;
  bool absolute;
  bool batch_gradient;
  bool is_conv;
};

// Beyond these powers of two the operands are scaled before they are multiplied, not only their products after, which
// would be subnormal where they are 2^87 times smaller than the largest.
template <class T>
constexpr int kPlainExponent = sizeof(T) == 8 ? 400 : 32;

template <class T>
SIMT_DEVICE T power_of_two(int exponent) {
  return static_cast<T>(ldexp(1.0, exponent));
}

// Sample, call and first position of a chunk.
template <int kChunk>
struct Walk {
  int64_t b;
  int call = 0;
  int t = 0;

  SIMT_DEVICE bool ends_sample(const MomentsJob& job) const {
    return call == job.n_calls - 1 && t + kChunk >= job.calls[call].n_positions;
  }

  SIMT_DEVICE void advance(const MomentsJob& job) {
    t += kChunk;
    if (t < job.calls[call].n_positions) return;
    t = 0;
    if (++call < job.n_calls) return;
    call = 0;
    ++b;
  }
};

// One thread's elements of the gradient of a sample, and their moments over the samples so far.
template <class T, int kElements, bool kBatchGradient>
struct RunningMoments {
  T sum[kElements] = {};
  T mean[kElements] = {};
  T m2[kElements] = {};
  T signed_mean[kBatchGradient ? kElements : 1] = {};

  // Welford's update. The first sample's mean is its gradient and its M2 exactly 0, and so it stays while the gradients
  // are equal.
  SIMT_DEVICE void add_sample(T scale, T inv_count, bool absolute) {
    SIMT_UNROLL for (int j = 0; j < kElements; ++j) {
      T g = sum[j] * scale;
      sum[j] = 0;
      if constexpr (kBatchGradient) signed_mean[j] += (g - signed_mean[j]) * inv_count;
      if (absolute) g = g < 0 ? -g : g;
      const T deviation = g - mean[j];
      mean[j] += deviation * inv_count;
      m2[j] += deviation * (g - mean[j]);
    }
  }
};

template <class Math, bool kBatchGradient, bool kConv>
struct GradientMoments {
  using T = typename Math::Number;
  using Storage = typename Math::Storage;
  using Moments = RunningMoments<T, Math::kElements, kBatchGradient>;
  static constexpr int kThreads = Math::kThreads;
  // As many as fit without spilling: a thread holds 3 or 4 numbers for each of its elements.
  static constexpr int kMinBlocks = kBatchGradient ? 2 : 3;
  static constexpr int kGradStage = Math::kChunk * Math::kGradPitch;
  static constexpr int kXStage = Math::kChunk * Math::kXPitch;

  MomentsJob job;

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(Storage, grad, 2 * kGradStage);
    SIMT_SHARED(Storage, x, 2 * kXStage);
    const int x_exponent = job.exponents[0];
    const int grad_exponent = job.exponents[1];
    const bool plain = is_plain(x_exponent) && is_plain(x_exponent + grad_exponent - kHeadroom);
    Moments moments;
    if (plain || !Math::kMayScale) {
      run<false>(moments, grad, x, {1, 1}, power_of_two<T>(x_exponent + grad_exponent));
    } else if constexpr (Math::kMayScale) {
      run<true>(moments, grad, x, {power_of_two<T>(x_exponent), power_of_two<T>(grad_exponent)}, 1);
    }
    store(moments);
  }

  SIMT_DEVICE static bool is_plain(int exponent) {
    return exponent >= -kPlainExponent<T> && exponent <= kPlainExponent<T>;
  }

  SIMT_DEVICE int64_t part() const { return simt::block_index().y; }
  SIMT_DEVICE RowTile row_tile() const { return job.row_tiles[simt::block_index().x / job.n_column_tiles]; }
  SIMT_DEVICE int64_t first_column() const {
    return simt::block_index().x % job.n_column_tiles * static_cast<int64_t>(Math::kTileColumns);
  }
  SIMT_DEVICE int n_tile_columns() const {
    const int64_t n_left = job.n_columns - first_column();
    return static_cast<int>(n_left < Math::kTileColumns ? n_left : Math::kTileColumns);
  }

  template <bool kScaled>
  SIMT_DEVICE void run(Moments& moments, const simt::Shared<Storage>& grad, const simt::Shared<Storage>& x,
                       Scales<T> scales, T scale) const {
    const int64_t begin = part_begin(job.n_samples, job.n_parts, part());
    const int64_t end = part_begin(job.n_samples, job.n_parts, part() + 1);
    const RowTile tile = row_tile();
    Walk<Math::kChunk> now{begin};
    Walk<Math::kChunk> next = now;
    load(tile, next, grad, x, 0);
    for (int stage = 0; now.b < end; stage ^= 1) {
      next.advance(job);
      // This thread's copies are there, then everyone's; and everyone has left the other stage.
      simt::wait_for_copies();
      simt::sync_threads();
      if (next.b < end) load(tile, next, grad, x, stage ^ 1);
      Math::template add_chunk<kScaled>(moments.sum, grad, stage * kGradStage, x, stage * kXStage, n_positions(now),
                                        scales);
      if (now.ends_sample(job)) {
        moments.add_sample(scale, T(1) / static_cast<T>(now.b - begin + 1), job.absolute);
      }
      now = next;
    }
  }

  SIMT_DEVICE int n_positions(const Walk<Math::kChunk>& walk) const {
    const int n_left = job.calls[walk.call].n_positions - walk.t;
    return n_left < Math::kChunk ? n_left : Math::kChunk;
  }

  SIMT_DEVICE void load(const RowTile& tile, const Walk<Math::kChunk>& walk, const simt::Shared<Storage>& grad,
                        const simt::Shared<Storage>& x, int stage) const {
    using LoadGrad = TileLoader<Math, Math::kTileRows, Math::kGradPitch>;
    using LoadX = TileLoader<Math, Math::kTileColumns, Math::kXPitch>;
    const DeviceCall& call = job.calls[walk.call];
    const int n_rows = n_positions(walk);
    const GradSource rows{call, job.rows, tile.first, tile.n_rows};
    LoadGrad::load(grad, stage * kGradStage, rows, walk.b, walk.t, n_rows);
    if constexpr (kConv) {
      const int64_t first_channel = int64_t{tile.group} * job.conv.channels_per_group;
      const ConvSource columns{call, job.conv, first_channel, first_column(), n_tile_columns()};
      LoadX::load(x, stage * kXStage, columns, walk.b, walk.t, n_rows);
    } else {
      const LinearSource columns{call, first_column(), n_tile_columns()};
      LoadX::load(x, stage * kXStage, columns, walk.b, walk.t, n_rows);
    }
    simt::commit_copies();
  }

  SIMT_DEVICE void store(const Moments& moments) const {
    constexpr int kArrays = kBatchGradient ? 3 : 2;
    const int64_t n_weights = job.n_rows * job.n_columns;
    const simt::Global<T> states(static_cast<T*>(job.states), job.n_parts * kArrays * n_weights);
    const RowTile tile = row_tile();
    SIMT_UNROLL for (int j = 0; j < Math::kElements; ++j) {
      const int row = Math::row(j);
      const int column = Math::column(j);
      if (row >= tile.n_rows || column >= n_tile_columns()) continue;
      const int64_t place = part() * kArrays * n_weights + (tile.first + row) * job.n_columns + first_column() + column;
      states[place] = moments.mean[j];
      states[place + n_weights] = moments.m2[j];
      if constexpr (kBatchGradient) states[place + 2 * n_weights] = moments.signed_mean[j];
    }
  }
};

template <class Math>
void launch_moments(const MomentsJob& job, simt::Stream stream) {
  const simt::Dim grid{static_cast<unsigned>(job.n_row_tiles * job.n_column_tiles), static_cast<unsigned>(job.n_parts),
                       1};
  if (job.is_conv) {
    if (job.batch_gradient) return simt::launch(GradientMoments<Math, true, true>{job}, grid, stream);
    return simt::launch(GradientMoments<Math, false, true>{job}, grid, stream);
  }
  if (job.batch_gradient) return simt::launch(GradientMoments<Math, true, false>{job}, grid, stream);
  simt::launch(GradientMoments<Math, false, false>{job}, grid, stream);
}

// One file each, since each is compiled for every architecture.
void launch_moments_f32(const MomentsJob& job, simt::Stream stream);
void launch_moments_f64(const MomentsJob& job, simt::Stream stream);
void launch_moments_tf32(const MomentsJob& job, simt::Stream stream);
void launch_moments_bf16(const MomentsJob& job, simt::Stream stream);
void launch_moments_f16(const MomentsJob& job, simt::Stream stream);

}  // namespace cuda
}  // namespace lswag
