// gradient_stats of csrc/cuda with one line changed at a time: each change must be noticed.
#include <cmath>

#include "gradient_reference.h"

namespace {

using lswag::DType;
using testing::GradientProblem;
using testing::Tensor;

GradientProblem linear(DType x, DType grad_out, std::vector<int> order = {}) {
  constexpr int64_t kSamples = 12, kPositions = 35, kInputs = 24, kOutputs = 20;
  testing::Random random(1);
  GradientProblem problem;
  problem.calls.push_back(
      {Tensor(x, {kSamples, kPositions, kInputs}, order), Tensor(grad_out, {kSamples, kPositions, kOutputs}, order)});
  problem.calls.push_back({Tensor(x, {kSamples, 2, kInputs}), Tensor(grad_out, {kSamples, 2, kOutputs})});
  for (testing::Call& call : problem.calls) {
    call.x.fill_normal(random);
    call.grad_out.fill_normal(random);
  }
  problem.weight.emplace(x == DType::f64 ? DType::f64 : DType::f32, std::vector<int64_t>{kOutputs, kInputs});
  problem.weight->fill_normal(random);
  problem.row_blocks = {0, 2};
  return problem;
}

GradientProblem convolution() {
  testing::Random random(2);
  GradientProblem problem;
  problem.conv = lswag::ConvGeometry{2, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 2};
  problem.calls.push_back({Tensor(DType::f32, {8, 4, 5, 6}), Tensor(DType::f32, {8, 6, 5, 6})});
  problem.calls[0].x.fill_normal(random);
  problem.calls[0].grad_out.fill_normal(random);
  return problem;
}

bool is_right(const GradientProblem& problem, testing::MomentsMemory* moments = nullptr) {
  const double n_weights = static_cast<double>(problem.rows().size()) * static_cast<double>(problem.n_columns());
  return testing::close(testing::emulated_sums(problem, moments), testing::expected_sums(problem),
                        testing::tolerance_of(problem), n_weights);
}

// The second half of a batch that is the first half once more: mean and spread stay what they were.
bool continues() {
  GradientProblem problem = linear(DType::f32, DType::f32);
  testing::MomentsMemory moments(problem);
  if (!is_right(problem, &moments)) return false;
  const testing::Sums once = testing::expected_sums(problem);
  const testing::Sums twice = testing::emulated_sums(problem, &moments);
  return std::abs(twice[lswag::statistic::sum_inv_sigma] / once[lswag::statistic::sum_inv_sigma] - 1) <
             testing::kFloat32Tolerance &&
         std::abs(twice[lswag::statistic::sum_squared_batch_gradient] /
                      once[lswag::statistic::sum_squared_batch_gradient] -
                  4) < 4 * testing::kFloat32Tolerance;
}

// All of x is zero but one tiny feature: its scale must be found there.
bool is_right_when_sparse() {
  GradientProblem problem = linear(DType::f32, DType::f32);
  for (testing::Call& call : problem.calls) {
    call.x.for_each([&](const std::vector<int64_t>& at) { call.x.set(at, at[2] ? 0 : call.x.get(at) * 1e-25); });
  }
  return is_right(problem);
}

// Of four rows, one has rounding errors of float, one those of double, and one lies below the floor.
bool is_right_with_small_rows(DType dtype) {
  GradientProblem problem = linear(dtype, dtype);
  for (testing::Call& call : problem.calls) {
    call.grad_out.for_each([&](const std::vector<int64_t>& at) {
      const double factors[] = {3e-9, 3e-18, 0x1p-100, 1};
      call.grad_out.set(at, factors[at[2] % 4] * call.grad_out.get(at));
    });
  }
  return is_right(problem);
}

// Standard deviations on both sides of the bound, which is 2e-6 of the others' size here. More elements than are looked
// at; every second one of those is zero.
bool is_right_at_the_bound() {
  testing::Random random(4);
  GradientProblem problem;
  problem.calls.push_back({Tensor(DType::f32, {4, 70, 64}), Tensor(DType::f32, {4, 70, 8})});
  Tensor& x = problem.calls[0].x;
  Tensor& grad = problem.calls[0].grad_out;
  x.fill_normal(random);
  grad.fill_normal(random);
  x.for_each([&](const std::vector<int64_t>& at) {
    const int64_t k = at[1] * 64 + at[2];
    if (k % 9 == 0 && k / 9 % 2) x.set(at, 0);
  });
  grad.for_each([&](const std::vector<int64_t>& at) {
    if (at[2] % 2) grad.set(at, 3e-7 * static_cast<double>(at[2]) * grad.get(at));
  });
  return is_right(problem);
}

// The first sample alone has large operands: without it the scale is wrong.
bool is_right_with_one_large_sample() {
  GradientProblem problem = linear(DType::f32, DType::f32);
  for (testing::Call& call : problem.calls) {
    for (Tensor* operand : {&call.x, &call.grad_out}) {
      operand->for_each([&](const std::vector<int64_t>& at) {
        if (at[0] == 0) operand->set(at, 0x1p50 * operand->get(at));
      });
    }
  }
  return is_right(problem);
}

// Chunks whose gradients differ by more than float32 holds the squares of. The moments are those of both.
bool continues_at_another_scale() {
  GradientProblem tiny = linear(DType::f32, DType::f32);
  GradientProblem large = linear(DType::f32, DType::f32);
  for (testing::Call& call : tiny.calls) {
    call.grad_out.for_each(
        [&](const std::vector<int64_t>& at) { call.grad_out.set(at, 0x1p-70 * call.grad_out.get(at)); });
  }
  const testing::Sums once = testing::expected_sums(large);
  for (bool tiny_first : {true, false}) {
    testing::MomentsMemory moments(large);
    testing::emulated_sums(tiny_first ? tiny : large, &moments);
    const testing::Sums both = testing::emulated_sums(tiny_first ? large : tiny, &moments);
    using namespace lswag::statistic;
    // Half of the samples are nearly zero beside the others: the batch gradient is theirs.
    if (!(std::abs(both[max_abs_batch_gradient] / once[max_abs_batch_gradient] - 1) < testing::kFloat32Tolerance)) {
      return false;
    }
    if (!(std::abs(both[n_zero_variance]) + std::abs(both[n_nonfinite]) == 0)) return false;
  }
  return true;
}

// x so small that the squares of the gradients leave float32 unless the operands are scaled.
bool is_right_when_scaled(DType dtype, bool tf32) {
  GradientProblem problem = linear(dtype, dtype);
  problem.tf32 = tf32;
  testing::Random random(3);
  for (testing::Call& call : problem.calls) call.x.fill_normal(random, 1e-30);
  return is_right(problem);
}

bool tf32_is_right() {
  GradientProblem problem = linear(DType::f32, DType::f32, {0, 2, 1});
  problem.tf32 = true;
  return is_right(problem);
}

}  // namespace

int main() {
  testing::check_mutants(
      "gradient_stats",
      {[] { return is_right(linear(DType::f32, DType::f32)); }, [] { return is_right(linear(DType::f64, DType::f64)); },
       [] { return is_right(linear(DType::bf16, DType::bf16)); },
       [] { return is_right(linear(DType::f16, DType::f16, {0, 2, 1})); },
       [] { return is_right(linear(DType::bf16, DType::f32)); },
       [] { return is_right(linear(DType::f16, DType::f64)); }, [] { return is_right(convolution()); },
       [] { return is_right_when_scaled(DType::f32, false); }, [] { return is_right_when_scaled(DType::bf16, false); },
       [] { return is_right_when_scaled(DType::f32, true); }, is_right_when_sparse, tf32_is_right, continues,
       [] { return is_right_with_small_rows(DType::f32); }, [] { return is_right_with_small_rows(DType::f64); },
       is_right_at_the_bound, is_right_with_one_large_sample, continues_at_another_scale});
  return testing::finish("mutants of gradient_stats");
}
