// The products of gradient_stats: how a block's threads share a tile of the weight, and how they add up
// grad_out x^T over the positions of a chunk in their registers.
//
// A block computes kTileRows x kTileColumns elements, kElements to a thread; `row` and `column` say which. A chunk of
// both operands lies in shared memory as (position, feature), kGradPitch and kXPitch elements from one position to the
// next.
#pragma once

#include "cuda/simt/simt.h"

namespace lswag {
namespace cuda {

template <class T>
struct Scales {
  T x;
  T grad;
};

// Warps as a grid over the tile.
template <int kWarpRows, int kWarpColumns, int kWarpTileRows, int kWarpTileColumns, int kChunkPositions, class Element>
struct TileOf {
  using Storage = Element;
  static constexpr int kThreads = kWarpRows * kWarpColumns * simt::kWarp;
  static constexpr int kTileRows = kWarpRows * kWarpTileRows;
  static constexpr int kTileColumns = kWarpColumns * kWarpTileColumns;
  static constexpr int kElements = kWarpTileRows * kWarpTileColumns / simt::kWarp;
  static constexpr int kChunk = kChunkPositions;

  SIMT_DEVICE static int warp_row() { return simt::warp_index() / kWarpColumns * kWarpTileRows; }
  SIMT_DEVICE static int warp_column() { return simt::warp_index() % kWarpColumns * kWarpTileColumns; }
};

// Fused multiply-adds in T. A thread has kRows x 4 neighbouring elements, a warp 4 x 8 threads.
template <class T, int kRows, int kChunkPositions>
struct FusedMath : TileOf<2, 2, 4 * kRows, 32, kChunkPositions, T> {
  using Tile = TileOf<2, 2, 4 * kRows, 32, kChunkPositions, T>;
  using Number = T;
  static constexpr bool kMayScale = true;
  static constexpr int kColumns = 4;
  static constexpr int kVector = 16 / static_cast<int>(sizeof(T));
  // 16 bytes more than the tile: rows stay aligned, and begin in different banks.
  static constexpr int kGradPitch = Tile::kTileRows + kVector;
  static constexpr int kXPitch = Tile::kTileColumns + kVector;

  SIMT_DEVICE static int first_row() { return Tile::warp_row() + simt::lane_index() / 8 * kRows; }
  SIMT_DEVICE static int first_column() { return Tile::warp_column() + simt::lane_index() % 8 * kColumns; }
  SIMT_DEVICE static int row(int j) { return first_row() + j / kColumns; }
  SIMT_DEVICE static int column(int j) { return first_column() + j % kColumns; }

  template <bool kScaled>
  SIMT_DEVICE static void add_chunk(T (&sum)[Tile::kElements], const simt::Shared<T>& grad, int grad_first,
                                    const simt::Shared<T>& x, int x_first, int n_positions, Scales<T> scales) {
    grad_first += first_row();
    x_first += first_column();
    SIMT_UNROLL_4 for (int t = 0; t < n_positions; ++t) {
      T g[kRows], a[kColumns];
      SIMT_UNROLL for (int k = 0; k < kRows; k += kVector) {
        simt::load_vector<kVector>(grad, grad_first + t * kGradPitch + k, g + k);
      }
      SIMT_UNROLL for (int k = 0; k < kColumns; k += kVector) {
        simt::load_vector<kVector>(x, x_first + t * kXPitch + k, a + k);
      }
      if (kScaled) {
        SIMT_UNROLL for (int k = 0; k < kRows; ++k) g[k] *= scales.grad;
        SIMT_UNROLL for (int k = 0; k < kColumns; ++k) a[k] *= scales.x;
      }
      SIMT_UNROLL for (int j = 0; j < Tile::kElements; ++j) {
        sum[j] = simt::fused_multiply_add(g[j / kColumns], a[j % kColumns], sum[j]);
      }
    }
  }
};

// Where the elements of a warp's 32 x 32 tile lie that tensor cores add up: 2 x 4 products of 16 x 8.
template <int kChunkPositions, class Element>
struct TensorTile : TileOf<2, 2, 32, 32, kChunkPositions, Element> {
  using Tile = TileOf<2, 2, 32, 32, kChunkPositions, Element>;
  using Number = float;
  static constexpr int kRowProducts = 2;
  static constexpr int kColumnProducts = 4;
  static constexpr int kGradPitch = Tile::kTileRows + 8;  // the rows that a warp reads at once lie in different banks
  static constexpr int kXPitch = Tile::kTileColumns + 8;

  SIMT_DEVICE static int row(int j) {
    return Tile::warp_row() + j / (4 * kColumnProducts) * 16 + j % 4 / 2 * 8 + simt::lane_index() / 4;
  }
  SIMT_DEVICE static int column(int j) {
    return Tile::warp_column() + j / 4 % kColumnProducts * 8 + simt::lane_index() % 4 * 2 + j % 2;
  }
};

// Two 16-bit numbers times a power of two, which leaves the bits of a bfloat16 mantissa as they are.
SIMT_DEVICE uint32_t scaled_pair(uint32_t pair, float scale) {
  const uint32_t low = simt::bits_of_float(simt::float_of_bits(pair << 16) * scale);
  const uint32_t high = simt::bits_of_float(simt::float_of_bits(pair & 0xffff0000u) * scale);
  return (low >> 16) | (high & 0xffff0000u);
}

// bfloat16 or float16 on tensor cores; products are exact, sums are float32.
template <class Element, bool kScales>
struct TensorMath : TensorTile<32, Element> {
  using Base = TensorTile<32, Element>;
  static constexpr bool kMayScale = kScales;  // products of float16 neither under- nor overflow a float

  template <bool kScaled>
  SIMT_DEVICE static void add_chunk(float (&sum)[Base::kElements], const simt::Shared<Element>& grad, int grad_first,
                                    const simt::Shared<Element>& x, int x_first, int n_positions,
                                    Scales<float> scales) {
    const int lane = simt::lane_index();
    // Both operands lie transposed to what the products take. Lanes 8 m + r name row r of matrix m.
    const int grad_row =
        grad_first + (lane / 16 * 8 + lane % 8) * Base::kGradPitch + Base::warp_row() + lane / 8 % 2 * 8;
    const int x_row = x_first + (lane / 8 % 2 * 8 + lane % 8) * Base::kXPitch + Base::warp_column() + lane / 16 * 8;
    for (int t = 0; t < n_positions; t += 16) {
      uint32_t a[Base::kRowProducts][4], b[Base::kColumnProducts / 2][4];
      SIMT_UNROLL for (int m = 0; m < Base::kRowProducts; ++m) {
        simt::load_matrices_transposed(grad, grad_row + t * Base::kGradPitch + 16 * m, a[m]);
        if (kScaled) scale(a[m], scales.grad);
      }
      SIMT_UNROLL for (int n = 0; n < Base::kColumnProducts / 2; ++n) {
        simt::load_matrices_transposed(x, x_row + t * Base::kXPitch + 16 * n, b[n]);
        if (kScaled) scale(b[n], scales.x);
      }
      SIMT_UNROLL for (int m = 0; m < Base::kRowProducts; ++m) {
        SIMT_UNROLL for (int n = 0; n < Base::kColumnProducts; ++n) {
          const uint32_t columns[2] = {b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]};
          simt::multiply_matrices<Element>(sum + 4 * (m * Base::kColumnProducts + n), a[m], columns);
        }
      }
    }
  }

  SIMT_DEVICE static void scale(uint32_t (&pairs)[4], float factor) {
    SIMT_UNROLL for (int k = 0; k < 4; ++k) pairs[k] = scaled_pair(pairs[k], factor);
  }
};

// float32 rounded to TF32 on tensor cores; sums are float32.
struct Tf32Math : TensorTile<16, float> {
  static constexpr bool kMayScale = true;

  template <bool kScaled>
  SIMT_DEVICE static void add_chunk(float (&sum)[kElements], const simt::Shared<float>& grad, int grad_first,
                                    const simt::Shared<float>& x, int x_first, int n_positions, Scales<float> scales) {
    const int lane = simt::lane_index();
    grad_first += lane % 4 * kGradPitch + warp_row() + lane / 4;
    x_first += lane % 4 * kXPitch + warp_column() + lane / 4;
    for (int t = 0; t < n_positions; t += 8) {
      uint32_t a[kRowProducts][4], b[kColumnProducts][2];
      SIMT_UNROLL for (int k = 0; k < 4 * kRowProducts; ++k) {
        const float g = grad[grad_first + (t + k % 4 / 2 * 4) * kGradPitch + k / 4 * 16 + k % 2 * 8];
        a[k / 4][k % 4] = simt::to_tf32(kScaled ? g * scales.grad : g);
      }
      SIMT_UNROLL for (int k = 0; k < 2 * kColumnProducts; ++k) {
        const float value = x[x_first + (t + k % 2 * 4) * kXPitch + k / 2 * 8];
        b[k / 2][k % 2] = simt::to_tf32(kScaled ? value * scales.x : value);
      }
      SIMT_UNROLL for (int m = 0; m < kRowProducts; ++m) {
        SIMT_UNROLL for (int n = 0; n < kColumnProducts; ++n) {
          simt::multiply_matrices_tf32(sum + 4 * (m * kColumnProducts + n), a[m], b[n]);
        }
      }
    }
  }
};

using Float32Math = FusedMath<float, 8, 16>;
using Float64Math = FusedMath<double, 4, 8>;
using Bfloat16Math = TensorMath<simt::Bf16, true>;
using Float16Math = TensorMath<simt::Half, false>;

}  // namespace cuda
}  // namespace lswag
