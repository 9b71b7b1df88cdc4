// Brings the operands of one sample into the form that the inner loops read.
#pragma once

#include <vector>

#include "common/exponents.h"
#include "cpu/gradient/ops.h"
#include "cpu/gradient/plan.h"

namespace lswag {

// Fetches the operands of the next sample into the cache while this one is computed, a few cache lines at each stretch
// of positions: in bursts they would hold up the loads of the tiles.
class Lookahead {
 public:
  // n cache lines for each stretch of a tile.
  struct Lines {
    const char* first;
    int64_t step;  // bytes
    int n;
  };
  // Cache lines at an even step, in several passes. Without passes there is nothing to fetch.
  struct Source {
    const char* first = nullptr;
    int64_t n_lines = 0;  // of a pass
    int64_t step = 0;     // bytes between them
    int64_t n_passes = 0;
    int64_t pass_step = 0;
  };

  Lookahead() = default;
  Lookahead(const Source& x, const Source& grad, int64_t n_tiles, int64_t stretches_per_tile);

  // For the next of n_tiles tiles.
  Lines next();

 private:
  Source sources_[2] = {};
  int64_t stretches_ = 0;  // of a tile
  int n_ = 0;              // lines for a stretch
  int source_ = 0;         // where the next line lies
  int64_t pass_ = 0;
  int64_t line_ = 0;
};

template <class T>
class Packer {
 public:
  Packer(const Problem& problem, const Plan& plan, const GradientOps<T>& ops, Exponents exponents);

  int64_t x_elements() const { return x_elements_; }        // scratch for one task
  int64_t grad_elements() const { return grad_elements_; }  // scratch for one task

  // grad_out of the task's slices: out[slice * slice_pitch + position * tile rows + row].
  void grad(const Task& task, int64_t b, T* out, int64_t slice_pitch) const;
  // Elements of a packed slice, and of a packed panel, of one sample.
  int64_t slice_pitch() const { return packed_positions_ * ops_.tile_rows; }
  int64_t panel_pitch() const { return packed_positions_ * panel_width(); }
  int64_t unpaired_elements() const;  // scratch for one task; 0 without pairs
  // What the tiles of a task read of one sample; `unpaired` is scratch. Panels and planes.
  void operands(const Task& task, int64_t b, T* grad, T* x, T* unpaired) const;
  // Form::panel: the columns of the task's tiles, out[tile * tile_pitch + position * panel_width() + column].
  void panels(const Task& task, int64_t b, T* out, int64_t tile_pitch) const;
  int64_t panel_width() const { return static_cast<int64_t>(plan_.tiles.front().n_vectors) * ops_.lanes; }
  // What packing sample b will read, spread over the task's tiles. Panels and planes.
  Lookahead lookahead(const Task& task, int64_t b) const;
  // Form::plane: the channels of one group. The margins must be zero and stay so.
  void planes(int64_t group, int64_t b, T* out) const;
  // Form::depthwise: rows of a slice, and the channels they see, as lanes.
  void lanes(const RowSlice& slice, int64_t b, T* grad, T* x) const;

  // The packed calls as the inner loops walk them. Planes and lanes.
  void plane_calls(const T* grad, const T* x, int64_t grad_step, std::vector<TileCall<T>>* calls) const;

 private:
  // How the positions of a call lie in packed lines before they are paired.
  struct Lines {
    int64_t n = 1;
    int64_t n_positions = 0;  // of a line: whole blocks
    int64_t pitch = 0;        // positions from one line of grad_out to the next
  };
  Lines lines_of(const CallOperands& call) const;  // planes
  int64_t packed_pairs(const CallOperands& call) const;
  int64_t whole_blocks(int64_t n_positions) const;
  // Elements that were `packed` ones before they were paired and cut into pieces.
  int64_t before_pairing(int64_t packed) const { return 2 * packed / ops_.pairs->n_pieces; }
  int64_t unpaired_slice() const { return before_pairing(slice_pitch()); }
  void paired_panels(const Task& task, int64_t b, T* grad, T* x, T* unpaired) const;
  void paired_planes(const Task& task, int64_t b, T* grad, T* x, T* unpaired) const;
  void grad_lines(const CallOperands& call, int64_t b, int64_t row, PackJob<T> job) const;
  void positions(const Operand& operand, int64_t b, int64_t feature, PackJob<T> job) const;
  void lines(const CallOperands& call, int64_t b, int64_t feature, int64_t n_features, T* out) const;

  const Problem& problem_;
  const Plan& plan_;
  const GradientOps<T>& ops_;
  T x_scale_;
  T grad_scale_;
  int64_t packed_positions_;  // of one sample; with pairs, the pieces of the pairs of whole blocks
  int64_t x_elements_ = 0;
  int64_t grad_elements_ = 0;
  int64_t plane_elements_ = 0;        // of all planes together
  std::vector<int64_t> plane_begin_;  // of each call in the planes
};

}  // namespace lswag
