#include "gradient_reference.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "cuda/simt/simt.h"

namespace testing {
namespace {

using lswag::DType;

bool is_wide(const GradientProblem& problem) {
  return std::any_of(problem.calls.begin(), problem.calls.end(), [](const Call& call) {
    return call.x.view().dtype == DType::f64 || call.grad_out.view().dtype == DType::f64;
  });
}

double rounded(const GradientProblem& problem, double value) {
  return problem.tf32 ? simt::float_of_bits(simt::to_tf32(static_cast<float>(value))) : value;
}

// visit(sample, output feature, input column, grad_out, x) for every term of every per-sample gradient.
template <class Visit>
void for_each_linear_term(const Call& call, Visit visit) {
  const int ndim = call.x.view().ndim;
  const int64_t n_inputs = call.x.view().size[ndim - 1];
  call.grad_out.for_each([&](const std::vector<int64_t>& index) {
    std::vector<int64_t> place = index;
    for (int64_t i = 0; i < n_inputs; ++i) {
      place.back() = i;
      visit(index[0], index.back(), i, call.grad_out.get(index), call.x.get(place));
    }
  });
}

template <class Visit>
void for_each_conv_term(const Call& call, const lswag::ConvGeometry& conv, Visit visit) {
  const int n = conv.n_dims;
  const int64_t channels = call.x.view().size[1] / conv.groups;
  const int64_t rows_per_group = call.grad_out.view().size[1] / conv.groups;
  const int64_t kernel_h = n == 2 ? conv.kernel[0] : 1;
  const int64_t kernel_w = conv.kernel[n - 1];
  call.grad_out.for_each([&](const std::vector<int64_t>& index) {
    std::vector<int64_t> place = index;
    for (int64_t column = 0; column < channels * kernel_h * kernel_w; ++column) {
      const int64_t tap[2] = {column / kernel_w % kernel_h, column % kernel_w};
      bool inside = true;
      place[1] = index[1] / rows_per_group * channels + column / kernel_w / kernel_h;
      for (int d = 0; d < n; ++d) {
        place[2 + d] = index[2 + d] * conv.stride[d] - conv.padding[d] + tap[2 - n + d] * conv.dilation[d];
        inside = inside && place[2 + d] >= 0 && place[2 + d] < call.x.view().size[2 + d];
      }
      if (inside) visit(index[0], index[1], column, call.grad_out.get(index), call.x.get(place));
    }
  });
}

// (samples, all rows, columns)
std::vector<double> per_sample_gradients(const GradientProblem& problem) {
  std::vector<double> gradients(problem.n_samples() * problem.n_rows() * problem.n_columns(), 0.0);
  const auto add = [&](int64_t b, int64_t row, int64_t column, double g, double x) {
    gradients[(b * problem.n_rows() + row) * problem.n_columns() + column] += rounded(problem, g) * rounded(problem, x);
  };
  for (const Call& call : problem.calls) {
    problem.conv ? for_each_conv_term(call, *problem.conv, add) : for_each_linear_term(call, add);
  }
  return gradients;
}

double weight_at(const GradientProblem& problem, int64_t row, int64_t column) {
  const lswag::View& view = problem.weight->view();
  std::vector<int64_t> index(view.ndim);
  for (int d = view.ndim - 1; d >= 1; --d) {
    index[d] = column % view.size[d];
    column /= view.size[d];
  }
  index[0] = row;
  return problem.weight->get(index);
}

struct Spread {
  double mean = 0;
  double variance = 0;
  bool finite = true;
  bool varies = false;
};

Spread spread_of(const std::vector<double>& values) {
  Spread spread;
  for (double value : values) {
    spread.mean += value / static_cast<double>(values.size());
    spread.finite = spread.finite && std::isfinite(value);
    spread.varies = spread.varies || value != values[0];
  }
  for (double value : values) {
    spread.variance += (value - spread.mean) * (value - spread.mean) / static_cast<double>(values.size());
  }
  return spread;
}

// The elements of sample b that are looked at: some, or all where those are zero. What is not finite counts as zero.
std::vector<double> looked_at(const Tensor& operand, int64_t b) {
  std::vector<double> all;
  operand.for_each([&](const std::vector<int64_t>& at) {
    const double value = operand.get(at);
    if (at[0] == b) all.push_back(std::isfinite(value) ? std::abs(value) : 0);
  });
  std::vector<double> some;
  for (size_t k = 0; k < all.size(); k += all.size() / 512 | 1) some.push_back(all[k]);
  return std::count(some.begin(), some.end(), 0) < static_cast<int64_t>(some.size()) ? some : all;
}

double mean_square(const Tensor& operand, int64_t b) {
  double sum = 0;
  const std::vector<double> values = looked_at(operand, b);
  for (double value : values) sum += value * value / static_cast<double>(values.size());
  return sum;
}

double positions_of(const GradientProblem& problem, const Call& call) {
  double n = 1;
  for (int d = 1; d < call.grad_out.view().ndim; ++d) n *= static_cast<double>(call.grad_out.view().size[d]);
  return n / static_cast<double>(problem.n_rows());
}

// r of common/rounding.h. Of convolutions only where all elements are looked at: their features do not come last.
double rounding_error(const GradientProblem& problem) {
  std::vector<double> n_positions;
  for (const Call& call : problem.calls) n_positions.push_back(positions_of(problem, call));
  const double total = std::accumulate(n_positions.begin(), n_positions.end(), 0.0);
  double squares = 0;
  for (int64_t b = 0; b < problem.n_samples() && total > 0; ++b) {
    double x = 0;
    double grad = 0;
    for (size_t c = 0; c < problem.calls.size(); ++c) {
      x += mean_square(problem.calls[c].x, b) * n_positions[c] / total;
      grad += mean_square(problem.calls[c].grad_out, b) * n_positions[c] / total;
    }
    squares += x * grad / static_cast<double>(problem.n_samples());
  }
  return std::ldexp(2 * total + 8 * std::sqrt(total), is_wide(problem) ? -53 : -24) * std::sqrt(squares);
}

// The floor of common/rounding.h, of gradients as they came.
double least_deviation(const GradientProblem& problem) {
  double n_positions = 0;
  double x = 0;
  double grad = 0;
  for (const Call& call : problem.calls) {
    n_positions += positions_of(problem, call);
    for (int64_t b = 0; b < problem.n_samples(); ++b) {
      for (double value : looked_at(call.x, b)) x = std::max(x, value);
      for (double value : looked_at(call.grad_out, b)) grad = std::max(grad, value);
    }
  }
  if (x == 0 || grad == 0) return 0;
  const int limit = is_wide(problem) ? 1022 : 126;
  const int of_x = std::clamp(-std::ilogb(x), -limit, limit);
  const int of_grad = std::clamp(24 - std::ilogb(n_positions) - std::ilogb(grad), -limit, limit);
  return std::ldexp(1, -63 - of_x - of_grad);
}

bool is_rounding(double sigma, double r) { return sigma > std::ldexp(r, -16) && sigma <= r; }

void add_weight(const GradientProblem& problem, const std::vector<double>& gradients, int64_t row, int64_t column,
                double rounding, double least, Sums& sums) {
  using namespace lswag::statistic;
  std::vector<double> magnitudes;
  for (double g : gradients) magnitudes.push_back(std::abs(g));
  Spread of_gradient = spread_of(gradients);
  Spread of_statistic = problem.absolute ? spread_of(magnitudes) : of_gradient;
  for (Spread* spread : {&of_gradient, &of_statistic}) {
    const double sigma = std::sqrt(spread->variance);
    spread->varies = spread->varies && sigma >= least && !is_rounding(sigma, rounding);
  }
  sums[n_nonfinite] += !of_gradient.finite;
  if (!of_gradient.finite) return;
  sums[n_zero_variance] += !of_statistic.varies;
  if (of_statistic.varies) {
    sums[sum_inv_sigma] += 1 / std::sqrt(of_statistic.variance);
    sums[sum_mu_over_sigma] += of_statistic.mean / std::sqrt(of_statistic.variance);
  }
  if (!problem.batch_gradient) return;
  const double total = of_gradient.mean * static_cast<double>(gradients.size());
  sums[sum_gsnr] += of_gradient.mean * of_gradient.mean / (of_gradient.variance + problem.xi);
  if (of_gradient.varies) sums[sum_mean_abs_over_sigma] += of_statistic.mean / std::sqrt(of_gradient.variance);
  sums[sum_batch_gradient] += total;
  sums[sum_squared_batch_gradient] += total * total;
  sums[max_abs_batch_gradient] = std::max(sums[max_abs_batch_gradient], std::abs(total));
  if (!problem.weight) return;
  sums[sum_weight_gradient] += total * weight_at(problem, row, column);
  sums[sum_abs_weight_gradient] += std::abs(total * weight_at(problem, row, column));
}

lswag::GradientOptions options_of(const GradientProblem& problem) {
  lswag::GradientOptions options;
  options.conv = problem.conv ? &*problem.conv : nullptr;
  options.absolute = problem.absolute;
  static const int64_t none = 0;
  if (problem.row_blocks) {
    options.row_blocks = problem.row_blocks->empty() ? &none : problem.row_blocks->data();
    options.n_row_blocks = static_cast<int64_t>(problem.row_blocks->size());
  }
  options.batch_gradient = problem.batch_gradient;
  options.weight = problem.weight ? &problem.weight->view() : nullptr;
  options.xi = problem.xi;
  return options;
}

std::vector<lswag::GradientCall> views_of(const GradientProblem& problem) {
  std::vector<lswag::GradientCall> calls;
  for (const Call& call : problem.calls) calls.push_back({call.x.view(), call.grad_out.view()});
  return calls;
}

}  // namespace

int64_t GradientProblem::n_rows() const {
  const lswag::View& view = calls[0].grad_out.view();
  return view.size[conv ? 1 : view.ndim - 1];
}

int64_t GradientProblem::n_columns() const {
  const lswag::View& view = calls[0].x.view();
  if (!conv) return view.size[view.ndim - 1];
  return view.size[1] / conv->groups * conv->kernel[0] * (conv->n_dims == 2 ? conv->kernel[1] : 1);
}

std::vector<int64_t> GradientProblem::rows() const {
  std::vector<int64_t> chosen;
  for (int64_t row = 0; row < n_rows(); ++row) {
    const int64_t block = row / lswag::kRowBlock;
    if (!row_blocks || std::count(row_blocks->begin(), row_blocks->end(), block)) chosen.push_back(row);
  }
  return chosen;
}

Sums expected_sums(const GradientProblem& problem) {
  const std::vector<double> gradients = per_sample_gradients(problem);
  const double rounding = rounding_error(problem);
  const double least = least_deviation(problem);
  Sums sums(lswag::statistic::kCount, 0.0);
  std::vector<double> of_weight(problem.n_samples());
  for (int64_t row : problem.rows()) {
    for (int64_t column = 0; column < problem.n_columns(); ++column) {
      for (int64_t b = 0; b < problem.n_samples(); ++b) {
        of_weight[b] = gradients[(b * problem.n_rows() + row) * problem.n_columns() + column];
      }
      add_weight(problem, of_weight, row, column, rounding, least, sums);
    }
  }
  return sums;
}

MomentsMemory::MomentsMemory(const GradientProblem& problem)
    : mean(problem.n_rows() * problem.n_columns(), NAN), m2(mean), signed_mean(mean) {}

Sums emulated_sums(const GradientProblem& problem, MomentsMemory* memory) {
  const std::vector<lswag::GradientCall> calls = views_of(problem);
  const int n_calls = static_cast<int>(calls.size());
  lswag::GradientOptions options = options_of(problem);
  lswag::MomentsRef moments;
  std::vector<simt::Allocation> allocations;
  lswag::cuda::GradientMemory device;
  if (memory) {
    moments = {memory->count, 0, 0, memory->mean.data(), memory->m2.data(), memory->signed_mean.data()};
    for (const auto* values : {&memory->mean, &memory->m2, &memory->signed_mean}) allocations.emplace_back(*values);
    allocations.emplace_back(&memory->exponent, sizeof memory->exponent);
    allocations.emplace_back(&memory->squares, sizeof memory->squares);
    options.moments = &moments;
    device.exponent = &memory->exponent;
    device.squares = &memory->squares;
  }
  // Never written memory is NaN.
  std::vector<double> workspace(lswag::cuda::gradient_stats_bytes(calls.data(), n_calls, options) / 8, NAN);
  Sums sums(lswag::statistic::kCount, NAN);
  allocations.emplace_back(workspace);
  allocations.emplace_back(sums);
  device.workspace = workspace.data();
  device.statistics = sums.data();
  const auto precision = problem.tf32 ? lswag::cuda::Precision::tf32 : lswag::cuda::Precision::exact;
  const int64_t n_weights = lswag::cuda::gradient_stats(calls.data(), n_calls, options, precision, device, {});
  const bool right = n_weights == static_cast<int64_t>(problem.rows().size()) * problem.n_columns();
  if (memory) memory->count = moments.count;
  return right ? sums : Sums();
}

Sums cpu_sums(const GradientProblem& problem) {
  const std::vector<lswag::GradientCall> calls = views_of(problem);
  const auto s = lswag::gradient_stats(calls.data(), static_cast<int>(calls.size()), options_of(problem));
  return {std::begin(s.values), std::end(s.values)};
}

bool close(const Sums& found, const Sums& expected, double tolerance, double n_weights) {
  using namespace lswag::statistic;
  if (found.size() != expected.size()) return false;
  for (int k = 0; k < kCount; ++k) {
    double size = std::abs(expected[k]);
    if (k == sum_weight_gradient) size = std::max(size, expected[sum_abs_weight_gradient]);
    if (k == sum_mu_over_sigma) size = std::max(size, std::sqrt(n_weights));
    if (k == sum_batch_gradient) size = std::sqrt(n_weights * expected[sum_squared_batch_gradient]);
    if (info(k).combination == Combination::count) size = 0;
    if (!(std::abs(found[k] - expected[k]) <= tolerance * size)) return false;
  }
  return true;
}

double tolerance_of(const GradientProblem& problem) { return is_wide(problem) ? kFloat64Tolerance : kFloat32Tolerance; }

void check_gradient(const GradientProblem& problem, const std::string& what) {
  const Sums found = emulated_sums(problem);
  const double tolerance = tolerance_of(problem);
  const double n_weights = static_cast<double>(problem.rows().size()) * static_cast<double>(problem.n_columns());
  check(close(found, expected_sums(problem), tolerance, n_weights), what + ", against the definition");
  if (problem.tf32) return;  // the CPU does not round its operands
  check(close(found, cpu_sums(problem), 2 * tolerance, n_weights), what + ", against the CPU kernel");
}

}  // namespace testing
