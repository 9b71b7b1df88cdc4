// The inner loops of gradient_stats, one set per instruction set and compute type (float, double).
//
// Vocabulary. A *slice* is up to tile_rows output rows; grad_out is packed one slice at a time as (positions,
// tile_rows). A *tile* is a slice times up to tile_vectors vectors of weight columns. Its running *state* is
// contiguous: the means of all its vectors, then their M2 (sums of squared deviations), then, with the batch gradient,
// their signed means.
#pragma once

#include <cstdint>

#include "common/rounding.h"
#include "common/statistics.h"
#include "cpu/isa/tile_config.h"
#include "view.h"

namespace lswag {

constexpr int kMaxTileVectors = 4;
constexpr int kStretch = 32;          // positions between two looks ahead
constexpr int kMaxTaps = 9;           // taps of a depthwise tile
constexpr int kMaxStateVectors = 64;  // vectors of the largest tile: 16 rows x 4 vectors, 32 x 2
constexpr int kMaxLanes = 16;         // elements of the longest vector

// Copies lines of positions into panels of panel_width features, times a power of two. Feature f of position p of a
// line goes to out[f / panel_width * panel_pitch + line * line_pitch + p * position_pitch + f % panel_width]. The last
// panel is filled up with zeros.
template <class T>
struct PackJob {
  const void* source;
  DType dtype;
  int64_t n_lines;
  int64_t line_stride;
  int64_t n_positions;  // of a line
  int64_t position_stride;
  int64_t n_features;
  int64_t feature_stride;
  T* out;
  int64_t panel_width;
  int64_t panel_pitch;
  int64_t line_pitch;
  int64_t position_pitch;
  T scale;
};

// The packed operands of one call of the weight, for one sample: grad_out at consecutive positions, x at n_rows lines
// of n_cols positions. With pairs, a line has whole blocks of positions, and col_step is from one pair to the next.
template <class T>
struct TileCall {
  const T* grad;
  const T* x;
  int64_t n_rows;
  int64_t n_cols;
  int64_t row_pitch;
  int64_t col_step;
};

// How the state of a tile takes up the gradients of one more sample.
template <class T>
struct MomentsJob {
  T* state;
  bool absolute;
  bool batch_gradient;
  T inv_count;  // 1 / number of samples including this one
};

template <class T>
struct PendingTile;

template <class T>
struct TileJob {
  const TileCall<T>* calls;
  int n_calls;
  int64_t grad_step;      // from one position of grad to the next
  const int64_t* offset;  // of each column vector (depthwise: tap) from a position of x
  int n_vectors;
  MomentsJob<T> moments;
  // Memory that the next sample will be packed from: so many cache lines are fetched at each stretch of positions.
  const char* ahead;
  int64_t ahead_step;  // bytes
  int n_ahead;
  PendingTile<T>* pending;  // of the thread
};

// The gradients of a tile that its state has yet to take up. That is done a few vectors at a time between the products
// of the next tile, since those keep the registers of tiles busy and the processor's vectors idle.
template <class T>
struct PendingTile {
  alignas(64) T gradient[2][kMaxStateVectors * kMaxLanes];  // while one is filled, the other is taken up
  int turn;
  MomentsJob<T> job;
  int vector;  // the next to take up
  int n_vectors;
};

// All samples of one tile, where a sample has so few positions that loading and storing the state would dominate.
template <class T>
struct SamplesJob {
  const T* grad;  // (samples, positions, tile_rows)
  const T* x;     // (samples, positions, x_pitch)
  int64_t n_samples;
  int64_t n_positions;
  int64_t x_pitch;
  int n_vectors;
  T* state;
  bool absolute;
  bool batch_gradient;
  const T* inv_count;  // (samples)
};

template <class T>
struct FinishJob {
  const T* state;
  int n_vectors;
  const int* valid;  // lanes in use of each vector
  int64_t count;     // samples
  bool batch_gradient;
  const T* weight;          // (n_vectors, lanes), or null
  double xi;                // in units of the scaled variance
  double squared_rounding;  // of common/rounding.h, in the same units
};

// Where tiles multiply bfloat16. Packed operands whose elements are bfloat16 times a power of two are rounded back; a
// float is cut into *pieces*, three bfloat16 whose sum it is. Both are paired: a *pair* is a feature at two
// neighbouring positions in the place of one element; a *block* is so many pairs as one instruction takes, the last one
// filled up with zeros. Pieces lie one after the other.
template <class T>
struct PairOps {
  int block_positions;
  int n_pieces;  // of an element
  // A panel of x (n_positions, width) -> (pieces, pairs, width).
  void (*pair_panel)(const T* panel, int64_t n_positions, int64_t width, T* out);
  // Planes of n elements of x: each is paired with the one `partner` elements further. Null: there are no planes.
  void (*pair_plane)(const T* plane, int64_t n, int64_t partner, T* out);
  // A slice of grad_out (n_positions, tile_rows) -> (pieces, blocks, tile_rows, pairs of a block).
  void (*pair_slice)(const T* slice, int64_t n_positions, T* out);
  // What a thread does before its first tile and after its last: the registers of tiles are configured, and as before.
  // Null where there are none.
  void (*begin)(unsigned char (&saved)[kTileConfigBytes]);
  void (*end)(const unsigned char (&saved)[kTileConfigBytes]);
  // Takes up what is pending. Null: no tile leaves anything.
  void (*take_up)(PendingTile<T>& pending);
};

template <class T>
struct GradientOps {
  int lanes;
  int tile_rows;
  int tile_vectors;
  int task_rows;  // output rows whose grad_out is packed once for all columns of a task
  void (*pack)(const PackJob<T>& job);
  void (*tile)(const TileJob<T>& job);
  void (*tile_samples)(const SamplesJob<T>& job);
  void (*depthwise)(const TileJob<T>& job);
  // Chan's merge of n elements: into (count_into samples) takes up from (count_from samples).
  void (*merge)(T* into, const T* from, int64_t n, bool batch_gradient, int64_t count_into, int64_t count_from);
  // Adds the weights of a tile to statistics (statistic::kCount), in units of the scaled gradients.
  void (*finish)(const FinishJob<T>& job, double* statistics);
  // Null: tiles multiply the packed elements. With pairs there are panels of more than kFewPositions, and planes where
  // they can be paired.
  const PairOps<T>* pairs;
};

}  // namespace lswag
