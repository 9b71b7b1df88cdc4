#include "cpu/gradient/finish.h"

#include <cmath>
#include <limits>

#include "common/element.h"
#include "common/rounding.h"

namespace lswag {
namespace {

constexpr int kMaxLanes = 16;
constexpr int kMaxArray = kMaxStateVectors * kMaxLanes;

// Where each column of a row of the weight lies; dimensions after the first are (I) or (C / groups, kernel...).
std::vector<int64_t> column_offsets(const View& weight, const Problem& problem) {
  check_weight(weight, problem.n_rows, problem.n_columns);
  std::vector<int64_t> offsets(problem.n_columns);
  for (int64_t column = 0; column < problem.n_columns; ++column) {
    int64_t rest = column;
    for (int d = weight.ndim - 1; d >= 1; --d) {
      offsets[column] += rest % weight.size[d] * weight.stride[d];
      rest /= weight.size[d];
    }
  }
  return offsets;
}

}  // namespace

template <class T>
Finisher<T>::Finisher(const Problem& problem, const Plan& plan, const GradientOptions& options,
                      const GradientOps<T>& ops, const Scales& scales)
    : problem_(problem), plan_(plan), options_(options), ops_(ops), exponent_(scales.chosen.exponents.sum()) {
  const bool continued = options.moments && options.moments->count > 0;
  const double squares = scales.squares + (continued ? options.moments->squares : 0);
  const int64_t n_samples = problem.n_samples + (continued ? options.moments->count : 0);
  squared_rounding_ =
      squared_rounding(squares, n_samples, problem.n_positions, exponent_, std::numeric_limits<T>::digits);
  if (options.weight) weight_offset_ = column_offsets(*options.weight, problem);
  tiles_.resize(plan.slices.size() * plan.tiles.size());
}

template <class T>
int64_t Finisher<T>::array_elements(int64_t tile) const {
  const int rows = problem_.form == Form::depthwise ? 1 : ops_.tile_rows;
  return static_cast<int64_t>(rows) * plan_.tiles[tile].n_vectors * ops_.lanes;
}

template <class T>
int Finisher<T>::n_valid(int64_t slice, int64_t tile, int vector) const {
  const int n_rows = plan_.slices[slice].n_rows;
  if (problem_.form == Form::depthwise) return n_rows;
  const ColumnTile& columns = plan_.tiles[tile];
  const bool in_use = vector / columns.n_vectors < n_rows;
  return in_use ? plan_.vectors[columns.first + vector % columns.n_vectors].n_columns : 0;
}

template <class T>
typename Finisher<T>::Lane Finisher<T>::lane(int64_t slice, int64_t tile, int vector, int k) const {
  const int64_t first_row = plan_.slices[slice].first;
  const ColumnTile& columns = plan_.tiles[tile];
  if (problem_.form == Form::depthwise)
    return {plan_.rows[first_row + k], plan_.vectors[columns.first + vector].column};
  const int64_t row = plan_.rows[first_row + vector / columns.n_vectors];
  const int64_t column = plan_.vectors[columns.first + vector % columns.n_vectors].column + k;
  if (problem_.form == Form::panel) return {row, column};
  // The planes have the channels innermost, torch has the taps there.
  const int64_t channels = plan_.plane_step;
  return {row, column % channels * (problem_.n_columns / channels) + column / channels};
}

// visit(index in an array of the state, row, column in torch's order)
template <class T>
template <class Visit>
void Finisher<T>::for_each_lane(int64_t slice, int64_t tile, Visit visit) const {
  for (int v = 0; v < n_vectors(tile); ++v) {
    for (int k = 0; k < n_valid(slice, tile, v); ++k) {
      const Lane at = lane(slice, tile, v, k);
      visit(v * ops_.lanes + k, at.row, at.column);
    }
  }
}

template <class T>
void Finisher<T>::exchange_moments(int64_t slice, int64_t tile, T* state) const {
  const MomentsRef& moments = *options_.moments;
  const int64_t n = array_elements(tile);
  T* arrays[3] = {static_cast<T*>(moments.mean), static_cast<T*>(moments.m2), static_cast<T*>(moments.signed_mean)};
  const int n_arrays = options_.batch_gradient ? 3 : 2;
  if (moments.count > 0) {
    T before[3 * kMaxArray] = {};
    const T rescale = std::ldexp(T(1), exponent_ - moments.exponent);
    for_each_lane(slice, tile, [&](int64_t k, int64_t row, int64_t column) {
      for (int a = 0; a < n_arrays; ++a) before[a * n + k] = arrays[a][row * problem_.n_columns + column] * rescale;
      before[n + k] *= rescale;  // once more: M2 is of squares, but the power's own square may leave the range
    });
    ops_.merge(before, state, n, options_.batch_gradient, moments.count, problem_.n_samples);
    for (int64_t k = 0; k < n_arrays * n; ++k) state[k] = before[k];
  }
  for_each_lane(slice, tile, [&](int64_t k, int64_t row, int64_t column) {
    for (int a = 0; a < n_arrays; ++a) arrays[a][row * problem_.n_columns + column] = state[a * n + k];
  });
}

template <class T>
void Finisher<T>::gather_weight(int64_t slice, int64_t tile, T* out) const {
  const View& weight = *options_.weight;
  for_each_lane(slice, tile, [&](int64_t k, int64_t row, int64_t column) {
    out[k] = static_cast<T>(read_element(weight, row * weight.stride[0] + weight_offset_[column]));
  });
}

template <class T>
void Finisher<T>::finish_tile(int64_t slice, int64_t tile, T* state) {
  int64_t count = problem_.n_samples;
  if (options_.moments) {
    exchange_moments(slice, tile, state);
    count += options_.moments->count;
  }
  T weight[kMaxArray];
  if (options_.weight) gather_weight(slice, tile, weight);
  int valid[kMaxStateVectors];
  for (int v = 0; v < n_vectors(tile); ++v) valid[v] = n_valid(slice, tile, v);
  const double xi = std::ldexp(options_.xi, 2 * exponent_);
  const FinishJob<T> job{state, n_vectors(tile),         valid,
                         count, options_.batch_gradient, options_.weight ? weight : nullptr,
                         xi,    squared_rounding_};
  ops_.finish(job, tiles_[slice * plan_.tiles.size() + tile].values);
}

template <class T>
GradientStats Finisher<T>::add_up() const {
  GradientStats stats;
  stats.n_weights = static_cast<int64_t>(plan_.rows.size()) * problem_.n_columns;
  for (int k = 0; k < statistic::kCount; ++k) {
    double& value = stats.values[k];
    for (const TileStatistics& tile : tiles_) value = statistic::combined(k, value, tile.values[k]);
    value = std::ldexp(value, -statistic::info(k).power * exponent_);
  }
  return stats;
}

template class Finisher<float>;
template class Finisher<double>;

}  // namespace lswag
