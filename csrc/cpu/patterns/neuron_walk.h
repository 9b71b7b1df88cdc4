// The neurons of an activation in the order they lie in memory, while results keep the row-major order of the axes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "view.h"

namespace lswag {

// A row-major index space with one stride per axis; axes that continue each other are one.
class IndexSpace {
 public:
  // Adds an axis inside those already there.
  void append(int64_t size, int64_t stride) {
    if (n_axes_ > 0 && stride_[n_axes_ - 1] == stride * size) {
      size_[n_axes_ - 1] *= size;
      stride_[n_axes_ - 1] = stride;
      return;
    }
    size_[n_axes_] = size;
    stride_[n_axes_++] = stride;
  }

  // Stride of the innermost axis.
  int64_t run_stride() const { return n_axes_ > 0 ? stride_[n_axes_ - 1] : 1; }

  // Whether the offset of an index is the index.
  bool is_one_run() const { return n_axes_ == 0 || (n_axes_ == 1 && stride_[0] == 1); }

  // Cuts the indices [begin, end) into runs along the innermost axis and calls visit(first, offset, n) for each: n
  // indices from `first` on, the first of them `offset` from the origin.
  template <class Visit>
  void for_each_run(int64_t begin, int64_t end, Visit visit) const {
    while (begin < end) {
      int64_t rest = begin;
      int64_t offset = 0;
      int64_t n = end - begin;
      for (int axis = n_axes_ - 1; axis >= 0; --axis) {
        const int64_t index = rest % size_[axis];
        if (axis == n_axes_ - 1) n = std::min(n, size_[axis] - index);
        offset += index * stride_[axis];
        rest /= size_[axis];
      }
      visit(begin, offset, n);
      begin += n;
    }
  }

 private:
  int n_axes_ = 0;
  int64_t size_[kMaxDims] = {};
  int64_t stride_[kMaxDims] = {};
};

// Axes 1.. of y, sorted so that the last moves the least in memory. Over the same index, `memory` gives the element
// offset of a neuron within its sample and `logical` its number in the row-major order of the axes as given.
struct NeuronWalk {
  int64_t n_neurons = 1;
  IndexSpace memory;
  IndexSpace logical;

  // Whether the neurons of a sample lie next to each other in the order of their numbers.
  bool is_contiguous() const { return memory.is_one_run() && logical.is_one_run(); }

  explicit NeuronWalk(const View& y) {
    int axes[kMaxDims];
    int64_t logical_stride[kMaxDims];
    int n_axes = 0;
    for (int axis = y.ndim - 1; axis >= 1; --axis) {
      logical_stride[axis] = n_neurons;
      n_neurons *= y.size[axis];
    }
    for (int axis = 1; axis < y.ndim; ++axis) {
      if (y.size[axis] != 1) axes[n_axes++] = axis;
    }
    std::stable_sort(axes, axes + n_axes, [&y](int a, int b) { return std::abs(y.stride[a]) > std::abs(y.stride[b]); });
    for (int k = 0; k < n_axes; ++k) {
      memory.append(y.size[axes[k]], y.stride[axes[k]]);
      logical.append(y.size[axes[k]], logical_stride[axes[k]]);
    }
  }
};

}  // namespace lswag
