// A look at some elements of the operands, before anything is computed: how large they are.
#pragma once

#include "common/exponents.h"
#include "common/gradient_problem.h"

namespace lswag {

struct Scales {
  ChosenExponents chosen;
  double squares = 0;  // the sum over the samples of squared_rounding's (S_b / T)^2
};

// `limit` is the kExponentLimit of the compute type, `before` the exponent of the state of earlier chunks. The result
// is the same for any number of threads.
Scales scan_operands(const Problem& problem, int limit, int before, int n_threads);

}  // namespace lswag
