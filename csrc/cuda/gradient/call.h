// What the kernels of gradient_stats read: the calls of a weight, its rows, and where their elements lie.
#pragma once

#include <cstdint>

#include "cuda/simt/simt.h"
#include "kernels.h"

namespace lswag {
namespace cuda {

constexpr int kMaxPositionDims = kMaxDims - 2;

// How a tile of an operand comes to shared memory.
enum class CopyMode : int {
  vectors,   // 16 bytes of neighbouring features, asynchronously
  elements,  // one element, asynchronously
  converted  // through registers, where the dtype differs or an element has 2 bytes
};

struct DeviceOperand {
  const void* data;
  int64_t begin, end;  // offsets that the view covers
  int64_t sample_stride;
  int64_t feature_stride;
  int64_t n_features;
  int64_t size[kMaxPositionDims];
  int64_t stride[kMaxPositionDims];
  int n_dims;
  DType dtype;
  CopyMode copy;
  bool positions_inside;  // neighbouring positions are closer than neighbouring features
};

// The x of a convolution has the dimensions (lines, columns) of its planes.
struct DeviceCall {
  DeviceOperand x;
  DeviceOperand grad;
  int n_positions;
  int out_width;
};

struct DeviceConv {
  int kernel_h, kernel_w;
  int stride_h, stride_w;
  int padding_h, padding_w;
  int dilation_h, dilation_w;
  int channels_per_group;
};

// Selected rows [first, first + n_rows) of one group.
struct RowTile {
  int64_t first;
  int32_t n_rows;
  int32_t group;
};

// From the number of a selected row to its number in the weight.
struct RowMap {
  simt::Global<const int64_t> blocks;  // of kRowBlock rows
  bool all;

  SIMT_DEVICE int64_t at(int64_t row) const {
    return all ? row : blocks[row / kRowBlock] * kRowBlock + row % kRowBlock;
  }
};

SIMT_DEVICE int64_t position_offset(const DeviceOperand& operand, int64_t t) {
  if (operand.n_dims == 1) return t * operand.stride[0];
  int64_t offset = 0;
  auto rest = static_cast<uint32_t>(t);  // positions are fewer than 2^31
  for (int d = operand.n_dims - 1; d >= 0; --d) {
    const auto size = static_cast<uint32_t>(operand.size[d]);
    offset += rest % size * operand.stride[d];
    rest /= size;
  }
  return offset;
}

template <class T>
SIMT_DEVICE simt::Global<const T> elements(const DeviceOperand& operand) {
  return {static_cast<const T*>(operand.data), operand.begin, operand.end};
}

// An element as the number that is computed with.
template <class T>
SIMT_DEVICE T read_number(const DeviceOperand& operand, int64_t offset) {
  switch (operand.dtype) {
    case DType::f32:
      return static_cast<T>(elements<float>(operand)[offset]);
    case DType::f64:
      return static_cast<T>(elements<double>(operand)[offset]);
    case DType::bf16:
      return static_cast<T>(simt::to_float(elements<simt::Bf16>(operand)[offset]));
    default:
      return static_cast<T>(simt::to_float(elements<simt::Half>(operand)[offset]));
  }
}

}  // namespace cuda
}  // namespace lswag
