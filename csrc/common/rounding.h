// Which standard deviations count as zero: rounding errors of gradients that are constant in theory, and what is too
// small beside the layer's gradients for its square to be a normal number of float.
//
// The size of a sample's gradients. By Cauchy and Schwarz, |G_b[o, i]| <= |g_b[:, o]| |x_b[:, i]|, the norms over the T
// positions. The root mean square of that bound over all o and i is S_b = T rms(x_b) rms(g_b).
//
// The error of a gradient, with the unit roundoff u of the precision that it is computed in. The operands are rounded
// results themselves: what was subtracted to make them is of the size of the layer's other gradients, so that each
// element has an error of some u rms. Where the errors of the T positions are independent they add up to some
// u S_b / sqrt(T); 8 of them are taken. Where all positions share one, as that of a mean that a normalisation
// subtracted, they add up to u S_b; 2 of them are taken, which is also several times what the sum of T terms in
// sequence makes, u S_b / 3 for terms of random sign. So
//
//     r = u (2 T + 8 sqrt(T)) rms_b(S_b / T)
//
// A gradient that is zero in theory (the queries and keys of attention over one token, a layer whose output a
// normalisation cancels) has a standard deviation below r, and not far below: rounding leaves multiples of u of the
// numbers that cancelled. One far below r (of a sample that is answered with certainty) was never made by subtraction
// and is right relative to its size. So a standard deviation is a rounding error within (r / 2^kBand, r].
//
// The floor. Gradients are scaled (exponents.h) so that squares are normal numbers of float down to some 2^87 times
// less than the largest. Below, float loses them one by one, and torch has lost some before: a saturated GELU has
// gradients of 1e-45 in float and of 1e-320 in double. What is below the floor therefore counts as zero in both, so
// that a score does not depend on the range of the numbers that it was computed in.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/host_device.h"

namespace lswag {

constexpr int kBand = 16;
constexpr double kSquaredBand = 1.0 / (int64_t{1} << 2 * kBand);
constexpr double kLeastVariance = 0x1p-126;  // of scaled gradients: the least normal number of float

// r^2 of gradients times 2^exponent, for u = 2^-digits. `squares` is the sum of (S_b / T)^2 over n_samples.
LSWAG_HOST_DEVICE inline double squared_rounding(double squares, int64_t n_samples, int64_t n_positions, int exponent,
                                                 int digits) {
  const double t = static_cast<double>(n_positions);
  const double factor = ldexp(2 * t + 8 * sqrt(t), exponent - digits);
  const double found = factor * factor * (squares / static_cast<double>(n_samples));
  return found - found == 0 ? found : 0;  // beyond the range of double: nothing is known
}

}  // namespace lswag
