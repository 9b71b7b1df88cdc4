// The statistics of a weight's gradients: each is named once, here, and has this name on the CPU, on a device, in
// Python and in lswag_fast/reference/.
//
// To add one: a line below; its term in common/batch_gradient.inl, which both devices compile, or, where it needs no
// batch gradient, in cpu/gradient/moments.inl and cuda/gradient/finish.cpp; its definition in lswag_fast/reference/.
#pragma once

#include "common/host_device.h"

// mu, sigma: mean and population standard deviation over the samples of |g|, or of g. G: the batch gradient, the sum
// over the samples of the signed g. w: the weight. Each runs over the elements looked at whose moments are finite.
// A sigma that is a rounding error or below the floor (common/rounding.h) counts as 0, and no sum divides by it.
//
// X(name, how parts combine, what it needs, power): gradients times 2^e make it 2^(power * e) times as large.
#define LSWAG_STATISTICS(X)                                                                                 \
  X(n_zero_variance, count, nothing, 0)                           /* elements with sigma = 0 or rounding */ \
  X(n_nonfinite, count, nothing, 0)                               /* elements left out of all others */     \
  X(sum_inv_sigma, sum, nothing, -1)                              /* 1 / sigma of the others */             \
  X(sum_mu_over_sigma, sum, nothing, 0)                           /* mu / sigma of the others */            \
  X(sum_gsnr, sum, batch_gradient, 0)                             /* (E g)^2 / (Var g + xi) */              \
  X(sum_mean_abs_over_sigma, sum, batch_gradient | magnitudes, 0) /* E |g| / sigma of the signed g */       \
  X(sum_batch_gradient, sum, batch_gradient, 1)                   /* G */                                   \
  X(sum_squared_batch_gradient, sum, batch_gradient, 2)           /* G^2 */                                 \
  X(max_abs_batch_gradient, max, batch_gradient, 1)               /* |G| */                                 \
  X(sum_weight_gradient, sum, batch_gradient | weight, 1)         /* w G */                                 \
  X(sum_abs_weight_gradient, sum, batch_gradient | weight, 1)     /* |w G| */

namespace lswag {
namespace statistic {

enum Index : int {
#define LSWAG_NAME(name, combination, needs, power) name,
  LSWAG_STATISTICS(LSWAG_NAME)
#undef LSWAG_NAME
      kCount
};

// How the values of two parts of a weight become that of both. A `sum` over some of the rows is an estimate of the sum
// over all of them once it is scaled up; a `count` and a `max` stay those of the rows looked at. A `max` is of numbers
// that are not negative, so that it is 0 where there are none.
enum class Combination : int { count, sum, max };

// What must be asked for or given, else the value is 0: bits.
enum Need : int {
  nothing = 0,
  batch_gradient = 1,  // GradientOptions::batch_gradient
  weight = 2,          // GradientOptions::weight
  magnitudes = 4       // GradientOptions::absolute
};

struct Info {
  const char* name;
  Combination combination;
  int needs;
  int power;
};

// A function, and its table inside: device code cannot read a table of the host.
LSWAG_HOST_DEVICE constexpr Info info(int index) {
  constexpr Info all[] = {
#define LSWAG_INFO(name, combination, needs, power) {#name, Combination::combination, needs, power},
      LSWAG_STATISTICS(LSWAG_INFO)
#undef LSWAG_INFO
  };
  return all[index];
}

// Not for the instruction-set units, as `info`: see cpu/isa/kernel_table.h.
LSWAG_HOST_DEVICE inline double combined(int index, double a, double b) {
  if (info(index).combination == Combination::max) return a < b ? b : a;
  return a + b;
}

}  // namespace statistic
}  // namespace lswag
