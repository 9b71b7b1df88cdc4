// The neurons of an activation in the order they lie in memory, so that neighbouring threads read neighbouring
// addresses, while results keep the row-major order of the axes.
#pragma once

#include <cstdint>

#include "common/patterns.h"
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
  const NeuronAxes found = neuron_axes(y, sorted);
  NeuronOrder order;
  order.n_neurons = found.n_neurons;
  for (int k = 0; k < found.n; ++k) {
    const NeuronAxis& axis = found.axes[k];
    const int last = order.n_axes - 1;
    if (last >= 0 && order.stride[last] == axis.stride * axis.size && order.step[last] == axis.step * axis.size) {
      order.size[last] *= axis.size;
      order.stride[last] = axis.stride;
      order.step[last] = axis.step;
      continue;
    }
    order.size[order.n_axes] = axis.size;
    order.stride[order.n_axes] = axis.stride;
    order.step[order.n_axes++] = axis.step;
  }
  return order;
}

}  // namespace cuda
}  // namespace lswag
