#include "cpu/gradient/scan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/element.h"
#include "common/integers.h"

namespace lswag {
namespace {

constexpr int kLanes = 8;                                // independent sums, which become vectors
constexpr int64_t kThreadedElements = int64_t{1} << 13;  // below, waking threads costs more than it saves

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

// Walks the elements of a sample in the order (positions, features), without a division for each.
class Walk {
 public:
  Walk(const Operand& operand, int64_t b, int64_t step) : operand_(operand), offset_(b * operand.sample_stride) {
    step_[operand.n_dims] = step % operand.n_features;
    int64_t rest = step / operand.n_features;
    for (int d = operand.n_dims - 1; d >= 1; --d) {
      step_[d] = rest % operand.size[d];
      rest /= operand.size[d];
    }
    if (operand.n_dims > 0) step_[0] = rest;
  }

  int64_t offset() const { return offset_; }

  // One step further; the end may be passed.
  void next() {
    int64_t carry = advance(operand_.n_dims, step_[operand_.n_dims], operand_.n_features, operand_.feature_stride);
    for (int d = operand_.n_dims - 1; d >= 1; --d) {
      carry = advance(d, step_[d] + carry, operand_.size[d], operand_.stride[d]);
    }
    if (operand_.n_dims > 0) offset_ += (step_[0] + carry) * operand_.stride[0];
  }

 private:
  int64_t advance(int d, int64_t by, int64_t size, int64_t stride) {
    const bool over = index_[d] + by >= size;
    by -= over ? size : 0;
    index_[d] += by;
    offset_ += by * stride;
    return over ? 1 : 0;
  }

  const Operand& operand_;
  int64_t offset_;
  int64_t index_[kMaxDims + 1] = {};  // of the positions, then the feature
  int64_t step_[kMaxDims + 1] = {};
};

// Every step-th element of sample b in the order (positions, features). `read(offset)` is an element. Each lies in a
// cache line of its own, so many are fetched before the first is read.
template <class T, class Read>
Found scan(const Operand& operand, int64_t b, int64_t n, int64_t step, Read read) {
  constexpr int64_t kFetched = 64;
  const int64_t bytes = element_bytes(operand.view.dtype);
  Magnitudes<T> magnitudes;
  Walk walk(operand, b, step);
  for (int64_t left = ceil_div(n, step); left > 0; left -= kFetched) {
    const int64_t n_fetched = std::min(left, kFetched);
    int64_t offset[kFetched];
    for (int64_t k = 0; k < n_fetched; ++k, walk.next()) {
      offset[k] = walk.offset();
      __builtin_prefetch(static_cast<const char*>(operand.view.data) + offset[k] * bytes);
    }
    for (int64_t k = 0; k < n_fetched; ++k) magnitudes.add(0, read(offset[k]));
  }
  return total(magnitudes);
}

// Every element, where the features of a position lie side by side, so that whole vectors are read.
template <class T>
Found scan_rows(const Operand& operand, int64_t b, int64_t n) {
  Magnitudes<T> magnitudes;
  const int64_t n_features = operand.n_features;
  const auto* data = static_cast<const T*>(operand.view.data);
  Walk walk(operand, b, n_features);
  for (int64_t k = 0; k < n; k += n_features, walk.next()) {
    const T* row = data + walk.offset();
    int64_t f = 0;
    for (; f + kLanes <= n_features; f += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) magnitudes.add(lane, row[f + lane]);
    }
    for (; f < n_features; ++f) magnitudes.add(0, row[f]);
  }
  return total(magnitudes);
}

template <class T>
Found scan_plain(const Operand& operand, int64_t b, int64_t n, int64_t step) {
  if (operand.feature_stride == 1 && step == 1) return scan_rows<T>(operand, b, n);
  const auto* data = static_cast<const T*>(operand.view.data);
  return scan<T>(operand, b, n, step, [data](int64_t offset) { return data[offset]; });
}

Found scan_sample(const Operand& operand, int64_t b, int64_t n, int64_t step) {
  if (operand.view.dtype == DType::f32) return scan_plain<float>(operand, b, n, step);
  if (operand.view.dtype == DType::f64) return scan_plain<double>(operand, b, n, step);
  return scan<double>(operand, b, n, step, [&](int64_t offset) { return read_element(operand.view, offset); });
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

Scales scan_operands(const Problem& problem, int limit, int before, int n_threads) {
  const int64_t n_samples = problem.n_positions > 0 ? problem.n_samples : 0;
  std::vector<SampleScale> x(n_samples), grad(n_samples);
  if (n_samples * kScanElements < kThreadedElements) n_threads = 1;
#pragma omp parallel for num_threads(n_threads) schedule(static)
  for (int64_t b = 0; b < n_samples; ++b) {
    for (const CallOperands& call : problem.calls) {
      const double share = static_cast<double>(call.n_positions) / static_cast<double>(problem.n_positions);
      x[b].add(call.x, b, share);
      grad[b].add(call.grad, b, share);
    }
  }
  // In the order of the samples, whoever looked at them.
  double largest_x = 0;
  double largest_grad = 0;
  double squares = 0;
  for (int64_t b = 0; b < n_samples; ++b) {
    largest_x = std::max(largest_x, x[b].largest);
    largest_grad = std::max(largest_grad, grad[b].largest);
    squares += x[b].mean_square * grad[b].mean_square;
  }
  return {choose_exponents(largest_x, largest_grad, problem.n_positions, limit, before), squares};
}

}  // namespace lswag
