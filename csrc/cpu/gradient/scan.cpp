#include "cpu/gradient/scan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/element.h"
#include "common/integers.h"

namespace lswag {
namespace {

constexpr int kLanes = 8;  // independent sums, which become vectors

// Of the finite elements looked at.
template <class T>
struct Magnitudes {
  T largest[kLanes] = {};
  double squares[kLanes] = {};

  void add(int lane, T value) {
    const T magnitude = std::abs(value);
    const T finite = magnitude <= std::numeric_limits<T>::max() ? magnitude : T(0);
    largest[lane] = finite > largest[lane] ? finite : largest[lane];
    squares[lane] += static_cast<double>(finite) * static_cast<double>(finite);
  }
};

struct Found {
  double largest = 0;
  double squares = 0;
};

template <class T>
Found total(const Magnitudes<T>& magnitudes) {
  Found found;
  for (int lane = 0; lane < kLanes; ++lane) {
    found.largest = std::max(found.largest, static_cast<double>(magnitudes.largest[lane]));
    found.squares += magnitudes.squares[lane];
  }
  return found;
}

int64_t sample_elements(const Operand& operand) {
  int64_t n = operand.n_features;
  for (int d = 0; d < operand.n_dims; ++d) n *= operand.size[d];
  return n;
}

int64_t position_offset(const Operand& operand, int64_t t) {
  int64_t offset = 0;
  for (int d = operand.n_dims - 1; d >= 1; --d) {
    offset += t % operand.size[d] * operand.stride[d];
    t /= operand.size[d];
  }
  return operand.n_dims > 0 ? offset + t * operand.stride[0] : 0;
}

// Every step-th element of sample b in the order (positions, features). `read(offset)` is an element. kAdjacent: they
// all lie side by side, so that whole vectors are read.
template <class T, bool kAdjacent, class Read>
Found scan(const Operand& operand, int64_t b, int64_t n, int64_t step, Read read) {
  Magnitudes<T> magnitudes;
  const int64_t n_features = operand.n_features;
  const int64_t stride = kAdjacent ? 1 : step * operand.feature_stride;
  for (int64_t k = 0; k < n;) {
    const int64_t t = k / n_features;
    const int64_t left = ceil_div((t + 1) * n_features - k, step);  // of this position
    const int64_t first =
        b * operand.sample_stride + position_offset(operand, t) + (k - t * n_features) * operand.feature_stride;
    int64_t f = 0;
    for (; f + kLanes <= left; f += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) magnitudes.add(lane, read(first + (f + lane) * stride));
    }
    for (; f < left; ++f) magnitudes.add(0, read(first + f * stride));
    k += left * step;
  }
  return total(magnitudes);
}

template <class T>
Found scan_plain(const Operand& operand, int64_t b, int64_t n, int64_t step) {
  const auto* data = static_cast<const T*>(operand.view.data);
  const auto read = [data](int64_t offset) { return data[offset]; };
  if (operand.feature_stride == 1 && step == 1) return scan<T, true>(operand, b, n, step, read);
  return scan<T, false>(operand, b, n, step, read);
}

Found scan_sample(const Operand& operand, int64_t b, int64_t n, int64_t step) {
  if (operand.view.dtype == DType::f32) return scan_plain<float>(operand, b, n, step);
  if (operand.view.dtype == DType::f64) return scan_plain<double>(operand, b, n, step);
  return scan<double, false>(operand, b, n, step, [&](int64_t offset) { return read_element(operand.view, offset); });
}

// The largest magnitude, and the mean square times the share of the call's positions in all.
struct SampleScale {
  double largest = 0;
  double mean_square = 0;

  void add(const Operand& operand, int64_t b, double share) {
    const int64_t n = sample_elements(operand);
    if (n == 0) return;
    int64_t step = scan_step(n);
    Found found = scan_sample(operand, b, n, step);
    if (found.largest == 0 && step > 1) found = scan_sample(operand, b, n, step = 1);
    largest = std::max(largest, found.largest);
    mean_square += share * found.squares / static_cast<double>(ceil_div(n, step));
  }
};

}  // namespace

Scales scan_operands(const Problem& problem, int limit, int before) {
  double largest_x = 0;
  double largest_grad = 0;
  double squares = 0;
  for (int64_t b = 0; b < problem.n_samples && problem.n_positions > 0; ++b) {
    SampleScale x, grad;
    for (const CallOperands& call : problem.calls) {
      const double share = static_cast<double>(call.n_positions) / static_cast<double>(problem.n_positions);
      x.add(call.x, b, share);
      grad.add(call.grad, b, share);
    }
    largest_x = std::max(largest_x, x.largest);
    largest_grad = std::max(largest_grad, grad.largest);
    squares += x.mean_square * grad.mean_square;
  }
  return {choose_exponents(largest_x, largest_grad, problem.n_positions, limit, before), squares};
}

}  // namespace lswag
