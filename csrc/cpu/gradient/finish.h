// From the moments of a tile's weights to the statistics that the caller asked for.
#pragma once

#include <vector>

#include "cpu/gradient/ops.h"
#include "cpu/gradient/plan.h"
#include "cpu/gradient/scan.h"

namespace lswag {

template <class T>
class Finisher {
 public:
  Finisher(const Problem& problem, const Plan& plan, const GradientOptions& options, const GradientOps<T>& ops,
           const Scales& scales);

  // Elements of each array (mean, M2, signed mean) of a tile's state.
  int64_t array_elements(int64_t tile) const;

  // Takes the moments of earlier chunks in and writes them back, then adds up. `state` becomes the merged one.
  void finish_tile(int64_t slice, int64_t tile, T* state);

  // All tiles, in their fixed order.
  GradientStats add_up() const;

 private:
  struct TileStatistics {
    double values[statistic::kCount] = {};
  };
  struct Lane {
    int64_t row;
    int64_t column;  // in torch's order
  };
  Lane lane(int64_t slice, int64_t tile, int vector, int k) const;
  int n_valid(int64_t slice, int64_t tile, int vector) const;
  void exchange_moments(int64_t slice, int64_t tile, T* state) const;
  void gather_weight(int64_t slice, int64_t tile, T* out) const;
  int n_vectors(int64_t tile) const { return static_cast<int>(array_elements(tile) / ops_.lanes); }

  template <class Visit>
  void for_each_lane(int64_t slice, int64_t tile, Visit visit) const;

  const Problem& problem_;
  const Plan& plan_;
  const GradientOptions& options_;
  const GradientOps<T>& ops_;
  int exponent_;                        // gradients in the states are times 2^exponent_
  double squared_rounding_;             // of all samples so far, in units of the states
  std::vector<int64_t> weight_offset_;  // of each column of the weight's view
  std::vector<TileStatistics> tiles_;   // (slice, tile)
};

}  // namespace lswag
