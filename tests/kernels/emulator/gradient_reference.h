// The definition of what gradient_stats returns, in float64 and plain loops, and the comparison with it.
//
// lswag_fast/reference/kernels.py has the same definition in torch. This one is here because a test of mutants runs it
// thousands of times beside the emulator, in a program without a Python interpreter; tests/kernels/cuda/ holds the
// emulated kernels against the other.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels.h"
#include "testing.h"

namespace testing {

// One use of a weight.
struct Call {
  Tensor x;
  Tensor grad_out;
};

struct GradientProblem {
  std::vector<Call> calls;
  std::optional<lswag::ConvGeometry> conv;         // none: linear
  std::optional<std::vector<int64_t>> row_blocks;  // none: all
  std::optional<Tensor> weight;
  bool absolute = true;
  bool batch_gradient = true;
  bool tf32 = false;
  double xi = 1e-8;

  int64_t n_samples() const { return calls[0].x.view().size[0]; }
  int64_t n_rows() const;
  int64_t n_columns() const;
  std::vector<int64_t> rows() const;  // selected
};

using Sums = std::vector<double>;  // in the order of lswag::statistic::Index

// By definition, from the per-sample gradients in float64. With tf32 the operands are rounded first.
Sums expected_sums(const GradientProblem& problem);

// The state of a weight over the chunks of a batch.
struct MomentsMemory {
  explicit MomentsMemory(const GradientProblem& problem);
  int64_t count = 0;
  int32_t exponent = 0;
  double squares = 0;
  std::vector<double> mean, m2, signed_mean;  // room for doubles or floats
};

// By the CUDA kernels, in the emulator.
Sums emulated_sums(const GradientProblem& problem, MomentsMemory* moments = nullptr);

// By the CPU kernels.
Sums cpu_sums(const GradientProblem& problem);

// Counts equal, the others within the relative tolerance. Three sums cancel and are held against the size of what is
// summed: w G against the sum of |w G|, G against the root of n sum G^2 (n the number of weights), signed mu/sigma
// against the root of n, as of a random walk.
bool close(const Sums& found, const Sums& expected, double tolerance, double n_weights);

// Relative, on identical inputs: rounding of float32 sums over positions and samples averages out over the weights.
constexpr double kFloat32Tolerance = 1e-5;
// Float64 differs in the order of its sums only; 1/sigma magnifies that where a variance is small.
constexpr double kFloat64Tolerance = 1e-11;

double tolerance_of(const GradientProblem& problem);

// Emulated kernel against the definition and against the CPU kernel; prints `what` where they differ.
void check_gradient(const GradientProblem& problem, const std::string& what);

}  // namespace testing
