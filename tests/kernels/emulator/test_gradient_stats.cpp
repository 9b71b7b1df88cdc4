// gradient_stats of csrc/cuda for linear calls, in the emulator, against the CPU kernel and the definition.
#include "gradient_reference.h"

namespace {

using lswag::DType;
using testing::GradientProblem;
using testing::Tensor;

using Dtypes = std::pair<DType, DType>;

GradientProblem linear(int64_t b, int64_t t, int64_t i, int64_t o, Dtypes dtypes = {DType::f32, DType::f32},
                       std::vector<int> order = {}, int64_t gap = 0) {
  testing::Random random(b * 1000 + t * 100 + i * 10 + o);
  GradientProblem problem;
  problem.calls.push_back({Tensor(dtypes.first, {b, t, i}, order, gap), Tensor(dtypes.second, {b, t, o}, order, gap)});
  problem.calls[0].x.fill_normal(random);
  problem.calls[0].grad_out.fill_normal(random);
  problem.weight.emplace(DType::f32, std::vector<int64_t>{o, i}, std::vector<int>{1, 0}, 1);
  problem.weight->fill_normal(random);
  return problem;
}

void add_call(GradientProblem& problem, int64_t t) {
  const int64_t b = problem.n_samples();
  testing::Random random(t);
  problem.calls.push_back(
      {Tensor(DType::f32, {b, t, problem.n_columns()}), Tensor(DType::f32, {b, t, problem.n_rows()})});
  problem.calls.back().x.fill_normal(random);
  problem.calls.back().grad_out.fill_normal(random);
}

const std::vector<std::pair<std::string, Dtypes>> kOperands = {{"float32", {DType::f32, DType::f32}},
                                                               {"float64", {DType::f64, DType::f64}},
                                                               {"bfloat16", {DType::bf16, DType::bf16}},
                                                               {"float16", {DType::f16, DType::f16}},
                                                               {"bfloat16 and float32", {DType::bf16, DType::f32}},
                                                               {"float16 and float64", {DType::f16, DType::f64}}};

void test_sizes() {
  // Below, at and above the tiles and chunks; few and many positions; several parts.
  const int64_t sizes[][4] = {{8, 20, 70, 37}, {9, 9, 64, 64}, {16, 1, 33, 17}, {8, 33, 130, 5}, {40, 3, 20, 70}};
  for (const auto& [b, t, i, o] : sizes) {
    for (bool absolute : {true, false}) {
      GradientProblem problem = linear(b, t, i, o);
      problem.absolute = absolute;
      problem.batch_gradient = absolute;
      testing::check_gradient(problem, std::to_string(b) + "x" + std::to_string(t) + "x" + std::to_string(i) + "x" +
                                           std::to_string(o) + (absolute ? " absolute" : " signed"));
    }
  }
}

void test_dtypes_and_strides() {
  // Features innermost and outermost, samples innermost, time-major; with gaps nothing is aligned.
  const std::vector<std::vector<int>> orders = {{0, 1, 2}, {0, 2, 1}, {1, 2, 0}, {1, 0, 2}};
  for (const auto& [name, dtypes] : kOperands) {
    for (size_t k = 0; k < orders.size(); ++k) {
      const int64_t gap = static_cast<int64_t>(k) % 2;
      testing::check_gradient(linear(8, 21, 72, 40, dtypes, orders[k], gap), name + ", order " + std::to_string(k));
    }
  }
}

void test_tf32() {
  for (const auto& [t, i, o] : {std::array<int64_t, 3>{21, 72, 40}, {3, 70, 133}, {40, 9, 9}}) {
    GradientProblem problem = linear(8, t, i, o);
    problem.tf32 = true;
    testing::check_gradient(problem, "TF32, " + std::to_string(t) + " positions");
  }
}

void test_several_calls() {
  GradientProblem problem = linear(8, 21, 30, 19);
  add_call(problem, 4);
  add_call(problem, 0);
  add_call(problem, 17);
  testing::check_gradient(problem, "four calls");
}

void test_row_blocks() {
  for (const std::vector<int64_t>& blocks : {std::vector<int64_t>{0}, {2}, {0, 2}, {0, 1, 2}, {}}) {
    for (DType dtype : {DType::f32, DType::bf16}) {
      GradientProblem problem = linear(8, 21, 40, 20, {dtype, dtype});
      problem.row_blocks = blocks;
      testing::check_gradient(problem, std::to_string(blocks.size()) + " row blocks of " + testing::name(dtype));
    }
  }
}

// Squares of these leave float32; with 1e-25 in both operands the products do, too.
void test_scales() {
  for (const auto& [x_scale, grad_scale] : {std::pair<double, double>{1, 1e-25}, {1e25, 1}, {1e-25, 1e-25}}) {
    for (bool tf32 : {false, true}) {
      GradientProblem problem = linear(8, 9, 20, 10);
      testing::Random random(5);
      problem.calls[0].x.fill_normal(random, x_scale);
      problem.calls[0].grad_out.fill_normal(random, grad_scale);
      problem.tf32 = tf32;
      problem.xi = 0;
      problem.batch_gradient = x_scale * grad_scale > 1e-30;  // the sums of G^2 leave float64
      testing::check_gradient(problem, "scaled operands");
    }
  }
  GradientProblem problem = linear(8, 20, 20, 10, {DType::bf16, DType::bf16});
  testing::Random random(5);
  problem.calls[0].x.fill_normal(random, 1e-25);
  testing::check_gradient(problem, "scaled bfloat16");
}

// Samples [begin, end) of a problem as a problem of their own, of the same memory layout.
GradientProblem chunk_of(const GradientProblem& whole, int64_t begin, int64_t end, Dtypes dtypes) {
  GradientProblem chunk = linear(end - begin, 9, whole.n_columns(), whole.n_rows(), dtypes);
  const auto copy = [begin](const Tensor& from, Tensor& to) {
    to.for_each([&](const std::vector<int64_t>& at) { to.set(at, from.get({begin + at[0], at[1], at[2]})); });
  };
  copy(whole.calls[0].x, chunk.calls[0].x);
  copy(whole.calls[0].grad_out, chunk.calls[0].grad_out);
  chunk.weight = std::nullopt;
  return chunk;
}

// Every second row of grad_out is what remains where numbers of the others' size cancelled, in float or in double.
void test_rounding_errors() {
  struct Case {
    int64_t t;
    double size;
    DType dtype;
    double n_rounding;
  };
  for (const auto& [t, size, dtype, n_rounding] :
       {Case{1, 3e-9, DType::f32, 100}, Case{12, 3e-9, DType::f32, 100}, Case{1, 3e-18, DType::f64, 100},
        Case{12, 3e-18, DType::f64, 100}, Case{12, 3e-9, DType::f64, 0}}) {
    for (bool absolute : {true, false}) {
      GradientProblem problem = linear(8, t, 20, 10, {dtype, dtype});
      problem.absolute = absolute;
      Tensor& grad = problem.calls[0].grad_out;
      grad.for_each([&, factor = size](const std::vector<int64_t>& at) {
        if (at[2] % 2) grad.set(at, factor * grad.get(at));
      });
      testing::check(testing::emulated_sums(problem)[lswag::statistic::n_zero_variance] == n_rounding,
                     "rounding errors");
      testing::check_gradient(problem, "rounding errors");
    }
  }
}

// A row of gradients below the floor, one above it.
void test_the_floor() {
  for (DType dtype : {DType::f32, DType::f64}) {
    GradientProblem problem = linear(4, 3, 20, 10, {dtype, dtype});
    Tensor& grad = problem.calls[0].grad_out;
    grad.for_each([&](const std::vector<int64_t>& at) {
      if (at[2] == 1) grad.set(at, 0x1p-110 * grad.get(at));
      if (at[2] == 2) grad.set(at, 0x1p-70 * grad.get(at));
    });
    testing::check(testing::emulated_sums(problem)[lswag::statistic::n_zero_variance] == 20, "the floor");
    testing::check_gradient(problem, "the floor");
  }
}

// The samples' gradients differ by as much as float32 can hold the squares of; in one chunk, and in chunks.
void test_certain_samples() {
  for (const std::vector<double>& sizes : {std::vector<double>{1e-22, 1, 0, 1}, {1, 1e-22, 1, 0}, {0, 1e-22, 1, 1}}) {
    const Dtypes dtypes{DType::f32, DType::f32};
    GradientProblem whole = linear(4, 9, 20, 10, dtypes);
    whole.weight = std::nullopt;
    Tensor& grad = whole.calls[0].grad_out;
    grad.for_each([&](const std::vector<int64_t>& at) {
      // A row that only the tiny sample sees.
      const bool seen = at[2] || (sizes[at[0]] > 0 && sizes[at[0]] < 1);
      grad.set(at, seen ? sizes[at[0]] * grad.get(at) : 0);
    });
    testing::check_gradient(whole, "a sample answered with certainty");
    testing::MomentsMemory moments(whole);
    testing::Sums merged;
    for (int64_t b = 0; b < 4; ++b) merged = testing::emulated_sums(chunk_of(whole, b, b + 1, dtypes), &moments);
    testing::check(testing::close(merged, testing::expected_sums(whole), 2 * testing::kFloat32Tolerance, 200),
                   "a sample answered with certainty, in chunks");
  }
}

// All elements looked at are zero in one sample, and its only other one is the largest of all.
void test_sparse_samples() {
  GradientProblem problem = linear(4, 70, 64, 8);
  Tensor& x = problem.calls[0].x;
  x.for_each([&](const std::vector<int64_t>& at) {
    if (at[0] == 2) x.set(at, at[1] == 1 && at[2] == 0 ? 1e25 : 0);
  });
  testing::check_gradient(problem, "a sparse sample");
}

// More blocks add their weights up than the last kernel has threads.
void test_many_weights() { testing::check_gradient(linear(8, 1, 600, 512, {DType::f64, DType::f64}), "many weights"); }

void test_degenerate() {
  using namespace lswag::statistic;
  for (const auto& [name, dtypes] : kOperands) {
    const auto one = testing::emulated_sums(linear(1, 5, 20, 10, dtypes));
    testing::check(one[n_zero_variance] == 200 && one[sum_inv_sigma] == 0, name + ": one sample has no variance");
    GradientProblem problem = linear(12, 5, 20, 10, dtypes);
    for (auto* operand : {&problem.calls[0].x, &problem.calls[0].grad_out}) {
      operand->for_each([&](const std::vector<int64_t>& at) { operand->set(at, operand->get({0, at[1], at[2]})); });
    }
    testing::check(testing::emulated_sums(problem)[n_zero_variance] == 200, name + ": equal samples have none");
    problem = linear(12, 5, 20, 10, dtypes);
    problem.calls[0].grad_out.set({7, 2, 3}, NAN);
    testing::check(testing::emulated_sums(problem)[n_nonfinite] == 20, name + ": a NaN spoils its row");
  }
  const auto none = testing::emulated_sums(linear(3, 0, 7, 5));
  testing::check(none[n_zero_variance] == 35, "no positions");
  testing::check(testing::emulated_sums(linear(3, 4, 0, 5)) == testing::Sums(kCount, 0.0), "no weights");
}

void test_chunks() {
  for (const Dtypes& dtypes : {Dtypes{DType::f32, DType::f32}, Dtypes{DType::f64, DType::f64}}) {
    GradientProblem whole = linear(24, 9, 30, 20, dtypes);
    whole.weight = std::nullopt;
    testing::MomentsMemory moments(whole);
    testing::Sums merged;
    for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 5}, {5, 6}, {6, 24}}) {
      merged = testing::emulated_sums(chunk_of(whole, begin, end, dtypes), &moments);
    }
    testing::check(moments.count == 24, "the count of the moments");
    // Twice the rounding of one pass.
    testing::check(testing::close(merged, testing::emulated_sums(whole), 2 * testing::tolerance_of(whole), 600),
                   "chunks are the whole");
  }
}

}  // namespace

int main() {
  testing::Sums first;
  testing::for_each_seed([&first](uint64_t seed) {
    test_sizes();
    test_several_calls();
    test_row_blocks();
    test_scales();
    test_tf32();
    test_chunks();
    test_rounding_errors();
    test_the_floor();
    test_certain_samples();
    if (seed == 0) test_sparse_samples();
    if (seed == 0) test_dtypes_and_strides();
    if (seed == 0) test_degenerate();
    if (seed == 0) test_many_weights();
    const testing::Sums sums = testing::emulated_sums(linear(40, 20, 130, 70));
    if (seed == 0) first = sums;
    testing::check(sums == first, "the same bits in any order of the threads");
  });
  return testing::finish("gradient_stats");
}
