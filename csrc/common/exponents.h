// Powers of two by which the operands of a gradient are multiplied, so that squares of tiny and huge gradients stay in
// the range of float: the largest magnitude among some elements of every sample becomes about 1 for x, and for grad_out
// what makes the largest gradient that the two allow about 2^kHeadroom. Exact as long as nothing leaves the range of
// normal numbers, and undone in the results.
//
// A square is normal down to 2^-126, so gradients 2^(63 + kHeadroom) = 1e26 times smaller than that largest one still
// have a variance. One that is larger because its elements were not looked at has room up to about 2^(60 - kHeadroom)
// times as much.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "common/host_device.h"

namespace lswag {

constexpr int64_t kScanElements = 512;  // looked at of each operand and sample; all, where those are zero
constexpr int kHeadroom = 24;

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

// The exponent of a state that holds nothing but zeros: any other is as good.
constexpr int kNoExponent = 1 << 20;

struct ChosenExponents {
  Exponents exponents;
  int of_state = kNoExponent;
};

// From the largest magnitudes looked at. `before` is the exponent of the state of earlier chunks; where they had larger
// gradients it stays, and grad_out takes what x leaves of it, as far as it can.
LSWAG_HOST_DEVICE inline ChosenExponents choose_exponents(double largest_x, double largest_grad, int64_t n_positions,
                                                          int limit, int before) {
  Exponents chosen;
  if (largest_x > 0) chosen.x = clamp_exponent(-ilogb(largest_x), limit);
  const bool is_zero = !(largest_x > 0 && largest_grad > 0);
  if (!is_zero) {
    int growth = 0;  // of a sum over the positions
    while (n_positions >> growth > 1) ++growth;
    chosen.grad = clamp_exponent(kHeadroom - growth - ilogb(largest_grad), limit);
  }
  if (before != kNoExponent && (is_zero || chosen.sum() > before)) {
    const int grad = clamp_exponent(before - chosen.x, limit);
    chosen = {before - grad, grad};
  }
  return {chosen, is_zero && before == kNoExponent ? kNoExponent : chosen.sum()};
}

}  // namespace lswag
