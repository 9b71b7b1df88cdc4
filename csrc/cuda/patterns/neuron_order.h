// The neurons of an activation in the order they lie in memory, so that neighbouring threads read neighbouring
// addresses, while results keep the row-major order of the axes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "cuda/simt/simt.h"
#include "view.h"

namespace lswag {
namespace cuda {

struct Neuron {
  int64_t offset;  // elements from the first of its sample
  int64_t number;  // in the row-major order of the axes
};

struct NeuronOrder {
  int n_axes = 0;
  int64_t n_neurons = 1;
  int64_t size[kMaxDims] = {};
  int64_t stride[kMaxDims] = {};  // in memory
  int64_t step[kMaxDims] = {};    // in the row-major order

  SIMT_HOST_DEVICE Neuron at(int64_t index) const {
    Neuron neuron{0, 0};
    for (int axis = n_axes - 1; axis >= 0; --axis) {
      const int64_t i = axis > 0 ? index % size[axis] : index;
      neuron.offset += i * stride[axis];
      neuron.number += i * step[axis];
      index /= size[axis];
    }
    return neuron;
  }
};

// Axes 1.. of y; sorted, if asked, so that the last moves the least in memory. Axes that continue each other are one.
inline NeuronOrder neuron_order(const View& y, bool sorted) {
  int axes[kMaxDims];
  int64_t step[kMaxDims];
  int n_axes = 0;
  NeuronOrder order;
  for (int axis = y.ndim - 1; axis >= 1; --axis) {
    step[axis] = order.n_neurons;
    order.n_neurons *= y.size[axis];
  }
  for (int axis = 1; axis < y.ndim; ++axis) {
    if (y.size[axis] != 1) axes[n_axes++] = axis;
  }
  if (sorted) {
    std::stable_sort(axes, axes + n_axes, [&y](int a, int b) { return std::abs(y.stride[a]) > std::abs(y.stride[b]); });
  }
  for (int k = 0; k < n_axes; ++k) {
    const int axis = axes[k];
    const int last = order.n_axes - 1;
    if (last >= 0 && order.stride[last] == y.stride[axis] * y.size[axis] &&
        order.step[last] == step[axis] * y.size[axis]) {
      order.size[last] *= y.size[axis];
      order.stride[last] = y.stride[axis];
      order.step[last] = step[axis];
      continue;
    }
    order.size[order.n_axes] = y.size[axis];
    order.stride[order.n_axes] = y.stride[axis];
    order.step[order.n_axes++] = step[axis];
  }
  return order;
}

}  // namespace cuda
}  // namespace lswag
