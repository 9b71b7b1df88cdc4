// Brings tiles of the operands to shared memory: (positions, features), zeros where there is nothing.
#pragma once

#include "cuda/gradient/call.h"

namespace lswag {
namespace cuda {

struct Place {
  int64_t offset;
  bool valid;
};

// Output features of grad_out: a row tile.
struct GradSource {
  static constexpr bool kHasVectors = true;
  const DeviceCall& call;
  const RowMap& rows;
  int64_t first_row;
  int n_features;

  SIMT_DEVICE const DeviceOperand& operand() const { return call.grad; }
  SIMT_DEVICE Place place(int64_t b, int t, int f) const {
    const DeviceOperand& grad = call.grad;
    return {b * grad.sample_stride + position_offset(grad, t) + rows.at(first_row + f) * grad.feature_stride, true};
  }
};

// Input features of x.
struct LinearSource {
  static constexpr bool kHasVectors = true;
  const DeviceCall& call;
  int64_t first_column;
  int n_features;

  SIMT_DEVICE const DeviceOperand& operand() const { return call.x; }
  SIMT_DEVICE Place place(int64_t b, int t, int f) const {
    const DeviceOperand& x = call.x;
    return {b * x.sample_stride + position_offset(x, t) + (first_column + f) * x.feature_stride, true};
  }
};

// Columns (channel, tap) of the patches that a convolution sees; the matrix of patches exists nowhere.
struct ConvSource {
  static constexpr bool kHasVectors = false;
  const DeviceCall& call;
  const DeviceConv& conv;
  int64_t first_channel;
  int64_t first_column;
  int n_features;

  SIMT_DEVICE const DeviceOperand& operand() const { return call.x; }
  SIMT_DEVICE Place place(int64_t b, int t, int f) const {
    const DeviceOperand& x = call.x;
    const int column = static_cast<int>(first_column) + f;
    const int n_taps = conv.kernel_h * conv.kernel_w;
    const int tap = column % n_taps;
    const int line = t / call.out_width * conv.stride_h - conv.padding_h + tap / conv.kernel_w * conv.dilation_h;
    const int place = t % call.out_width * conv.stride_w - conv.padding_w + tap % conv.kernel_w * conv.dilation_w;
    const bool inside = line >= 0 && line < x.size[0] && place >= 0 && place < x.size[1];
    const int64_t channel = first_channel + column / n_taps;
    return {b * x.sample_stride + channel * x.feature_stride + line * x.stride[0] + place * x.stride[1], inside};
  }
};

// One storage element as it is, or converted to it.
template <class Storage>
SIMT_DEVICE Storage read_storage(const DeviceOperand& operand, int64_t offset) {
  if constexpr (sizeof(Storage) == 2) {
    return elements<Storage>(operand)[offset];
  } else {
    return read_number<Storage>(operand, offset);
  }
}

// Shape: Storage, kThreads, kChunk positions. A row of the tile has kWidth features and lies kPitch elements after the
// one before. Positions [t, t + n_rows) of sample b; the tile begins at `first`.
template <class Shape, int kWidth, int kPitch>
struct TileLoader {
  using Storage = typename Shape::Storage;
  static constexpr int kVector = 16 / static_cast<int>(sizeof(Storage));

  template <class Source>
  SIMT_DEVICE static void load(const simt::Shared<Storage>& tile, int first, const Source& source, int64_t b, int t,
                               int n_rows) {
    if constexpr (Source::kHasVectors) {
      if (source.operand().copy == CopyMode::vectors) return load_vectors(tile, first, source, b, t, n_rows);
    }
    load_elements(tile, first, source, b, t, n_rows);
  }

  template <class Source>
  SIMT_DEVICE static void load_vectors(const simt::Shared<Storage>& tile, int first, const Source& source, int64_t b,
                                       int t, int n_rows) {
    constexpr int kPerRow = kWidth / kVector;
    const simt::Global<const Storage> from = elements<Storage>(source.operand());
    for (int k = simt::thread_index(); k < Shape::kChunk * kPerRow; k += Shape::kThreads) {
      const int row = k / kPerRow;
      const int f = k % kPerRow * kVector;
      const int n_left = row < n_rows ? source.n_features - f : 0;
      const int n_valid = n_left < 0 ? 0 : n_left < kVector ? n_left : kVector;
      const int64_t offset = n_valid > 0 ? source.place(b, t + row, f).offset : 0;
      simt::copy_async<kVector>(tile, first + row * kPitch + f, from, offset, n_valid);
    }
  }

  // Neighbouring threads take neighbours in memory.
  template <class Source>
  SIMT_DEVICE static void load_elements(const simt::Shared<Storage>& tile, int first, const Source& source, int64_t b,
                                        int t, int n_rows) {
    const DeviceOperand& operand = source.operand();
    for (int k = simt::thread_index(); k < Shape::kChunk * kWidth; k += Shape::kThreads) {
      const int row = operand.positions_inside ? k % Shape::kChunk : k / kWidth;
      const int f = operand.positions_inside ? k / Shape::kChunk : k % kWidth;
      Place place{0, false};
      if (row < n_rows && f < source.n_features) place = source.place(b, t + row, f);
      const int target = first + row * kPitch + f;
      if constexpr (sizeof(Storage) >= 4) {
        if (operand.copy != CopyMode::converted) {
          simt::copy_async<1>(tile, target, elements<Storage>(operand), place.valid ? place.offset : 0, place.valid);
          continue;
        }
      }
      tile[target] = place.valid ? read_storage<Storage>(operand, place.offset) : Storage();
    }
  }
};

}  // namespace cuda
}  // namespace lswag
