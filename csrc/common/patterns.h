// What the pattern kernels of both devices share: checks of arguments, the bits of numbers, hashing, order of neurons.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#include "common/host_device.h"
#include "common/integers.h"
#include "view.h"

namespace lswag {

inline void check_pattern_samples(const View& y, int64_t n_samples) {
  if (y.ndim < 1 || n_samples < 1 || n_samples > y.size[0]) {
    throw std::invalid_argument("n_samples must lie between 1 and the size of axis 0");
  }
}

inline void check_row_bits(int64_t n_bits, int64_t words_per_row) {
  if (n_bits < 1 || n_bits > words_per_row * kWordBits) {
    throw std::invalid_argument("n_bits must lie between 1 and the bits of a row");
  }
}

inline void check_neurons(int64_t n_neurons, int64_t words_per_sample) {
  if (n_neurons < 0 || n_neurons > words_per_sample * kWordBits) {
    throw std::invalid_argument("n_neurons must lie between 0 and the bits of a row");
  }
}

// visit(data, bits of +infinity): the data are read as integers of their width, never as floats, so no read is of
// another type than the one before.
template <class Visit>
void with_bits(const View& y, Visit visit) {
  switch (y.dtype) {
    case DType::f32:
      return visit(static_cast<const uint32_t*>(y.data), uint32_t{0x7F800000u});
    case DType::f64:
      return visit(static_cast<const uint64_t*>(y.data), uint64_t{0x7FF0000000000000u});
    case DType::bf16:
      return visit(static_cast<const uint16_t*>(y.data), uint16_t{0x7F80u});
    case DType::f16:
      return visit(static_cast<const uint16_t*>(y.data), uint16_t{0x7C00u});
  }
}

// ---- sets of rows ----

inline int64_t total_rows(const int64_t* n_rows, int n_arrays) {
  int64_t total = 0;
  for (int a = 0; a < n_arrays; ++a) total += n_rows[a];
  return total;
}

// The bits that count of the last word that does.
inline uint64_t last_word_mask(int64_t n_bits) {
  return ~uint64_t{0} >> (ceil_div(n_bits, kWordBits) * kWordBits - n_bits);
}

// The finaliser of a multiplicative hash: every input bit reaches the high bits, which choose the slot.
LSWAG_HOST_DEVICE constexpr uint64_t mix(uint64_t x) {
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93u;
  x ^= x >> 32;
  return x * 0xD6E8FEB86659FD93u;
}

// log2 of a table size that leaves at least a third of the slots free.
inline int table_bits(int64_t n_keys) {
  int bits = 6;
  while ((int64_t{1} << bits) < n_keys + n_keys / 2) ++bits;
  return bits;
}

// ---- neurons ----

struct NeuronAxis {
  int64_t size;
  int64_t stride;  // in memory
  int64_t step;    // in the row-major order of the axes as given
};

struct NeuronAxes {
  int n = 0;
  int64_t n_neurons = 1;
  NeuronAxis axes[kMaxDims];
};

// Axes 1.. of y but those of size 1; sorted, if asked, so that the last moves the least in memory.
inline NeuronAxes neuron_axes(const View& y, bool sorted) {
  NeuronAxes found;
  int64_t step[kMaxDims];
  for (int axis = y.ndim - 1; axis >= 1; --axis) {
    step[axis] = found.n_neurons;
    found.n_neurons *= y.size[axis];
  }
  for (int axis = 1; axis < y.ndim; ++axis) {
    if (y.size[axis] != 1) found.axes[found.n++] = {y.size[axis], y.stride[axis], step[axis]};
  }
  if (sorted) {
    std::stable_sort(found.axes, found.axes + found.n,
                     [](const NeuronAxis& a, const NeuronAxis& b) { return std::abs(a.stride) > std::abs(b.stride); });
  }
  return found;
}

}  // namespace lswag
