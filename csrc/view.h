// A tensor as the kernels see it: where it lies, what its elements are, and how far apart.
#pragma once

#include <cstdint>

namespace lswag {

enum class DType : int { f32, f64, bf16, f16 };

constexpr int kMaxDims = 8;

// Sizes and strides count elements. A stride may be zero (expanded) or negative. The memory is borrowed.
struct View {
  const void* data = nullptr;
  DType dtype = DType::f32;
  int ndim = 0;
  int64_t size[kMaxDims] = {};
  int64_t stride[kMaxDims] = {};
};

constexpr int64_t element_bytes(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2; }

// The address of the element `offset` elements away.
inline const void* at(const View& view, int64_t offset) {
  return static_cast<const char*>(view.data) + offset * element_bytes(view.dtype);
}

inline int64_t n_elements(const View& view) {
  int64_t n = 1;
  for (int d = 0; d < view.ndim; ++d) n *= view.size[d];
  return n;
}

}  // namespace lswag
