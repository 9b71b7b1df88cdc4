// Powers of two by which the operands of a gradient are multiplied, so that squares of tiny or huge gradients stay in
// the range of float: the largest magnitude among some elements of the first nonzero sample becomes about 1. Exact as
// long as nothing leaves the range of normal numbers, and undone in the results.
#pragma once

#include <cstdint>
#include <limits>

#include "common/host_device.h"

namespace lswag {

constexpr int64_t kScanSamples = 64;     // samples looked at for one that is not zero
constexpr int64_t kScanElements = 1024;  // of each of their operands

// Between two elements looked at of n. Odd, or every step might meet the same feature.
LSWAG_HOST_DEVICE constexpr int64_t scan_step(int64_t n) { return n / kScanElements | 1; }

struct Exponents {
  int x = 0;
  int grad = 0;
  LSWAG_HOST_DEVICE constexpr int sum() const { return x + grad; }
};

// Both a power within the limit and its inverse are normal numbers.
template <class T>
constexpr int kExponentLimit = std::numeric_limits<T>::max_exponent - 2;

LSWAG_HOST_DEVICE constexpr int clamp_exponent(int exponent, int limit) {
  return exponent < -limit ? -limit : exponent > limit ? limit : exponent;
}

// With the sum that an earlier chunk fixed: grad_out takes what x leaves of it, as far as it can.
LSWAG_HOST_DEVICE constexpr Exponents split_exponent(int sum, int x, int limit) {
  const int grad = clamp_exponent(sum - x, limit);
  return {sum - grad, grad};
}

}  // namespace lswag
