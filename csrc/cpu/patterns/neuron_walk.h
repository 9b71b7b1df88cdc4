// The neurons of an activation in the order they lie in memory, while results keep the row-major order of the axes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/patterns.h"
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
    const NeuronAxes found = neuron_axes(y, true);
    n_neurons = found.n_neurons;
    for (int k = 0; k < found.n; ++k) {
      memory.append(found.axes[k].size, found.axes[k].stride);
      logical.append(found.axes[k].size, found.axes[k].step);
    }
  }
};

}  // namespace lswag
