// Which standard deviations are rounding errors of gradients that are constant in theory.
//
// The size of a sample's gradients. By Cauchy and Schwarz, |G_b[o, i]| <= |g_b[:, o]| |x_b[:, i]|, the norms over the T
// positions. The root mean square of that bound over all o and i is S_b = T rms(x_b) rms(g_b).
//
// The error of a gradient, with the unit roundoff u. The operands are rounded results themselves: what was subtracted
// to make them is of the size of the layer's other gradients, so that each element has an error of some u rms. Where
// the errors of the T positions are independent they add up to some u S_b / sqrt(T); 8 of them are taken. Where all
// positions share one, as that of a mean that a normalisation subtracted, they add up to u S_b; 2 of them are taken,
// which is also several times what the sum of T terms in sequence makes, u S_b / 3 for terms of random sign. So
//
//     r = u (2 T + 8 sqrt(T)) rms_b(S_b / T)
//
// A gradient that is zero in theory (the queries and keys of attention over one token, a layer whose output a
// normalisation cancels) has a standard deviation below r, and not far below: rounding leaves multiples of u of the
// numbers that cancelled. One far below r (of a sample that is answered with certainty) was never made by subtraction
// and is right relative to its size. So a standard deviation is a rounding error within (r / 2^kBand, r], for the u of
// float and for that of double, whichever the gradients were computed in: a score does not depend on it.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/host_device.h"

namespace lswag {

constexpr int kFloatDigits = 24;  // u = 2^-24
constexpr int kDoubleDigits = 53;
constexpr int kBand = 16;
constexpr double kSquaredBand = 1.0 / (int64_t{1} << 2 * kBand);
// Of the squares of r for double and for float.
constexpr double kSquaredDoubleShare = 1.0 / (int64_t{1} << 2 * (kDoubleDigits - kFloatDigits));

// r^2 for float, of gradients times 2^exponent. `squares` is the sum of (S_b / T)^2 over n_samples.
LSWAG_HOST_DEVICE inline double squared_rounding(double squares, int64_t n_samples, int64_t n_positions, int exponent) {
  const double t = static_cast<double>(n_positions);
  const double factor = ldexp(2 * t + 8 * sqrt(t), exponent - kFloatDigits);
  const double found = factor * factor * (squares / static_cast<double>(n_samples));
  return found - found == 0 ? found : 0;  // beyond the range of double: nothing is known
}

}  // namespace lswag
