// How the work of one weight is cut: rows into slices, columns into tiles, and both into tasks for the threads.
//
// Slices, tiles and parts depend on the problem and the instruction set only, so that every sum is formed in the same
// order for any number of threads; tasks may depend on it, since no sum crosses the elements of a weight in there.
#pragma once

#include <cstdint>
#include <vector>

#include "common/gradient_problem.h"
#include "common/integers.h"

namespace lswag {

// What the plan needs to know of an instruction set.
struct TileShape {
  int lanes;
  int rows;
  int vectors;
  int task_rows;
};

// Up to TileShape::rows consecutive rows of one group; depthwise: up to `lanes` rows, not always consecutive.
struct RowSlice {
  int64_t first;  // into Plan::rows
  int n_rows;
  int64_t group;
};

// Dense: up to `lanes` weight columns from `column`, in the order (tap, channel). Depthwise: the tap `column`.
struct ColumnVector {
  int64_t column;
  int n_columns;
  int64_t offset;  // in x from a position
};

struct ColumnTile {
  int64_t first;  // into Plan::vectors
  int n_vectors;
};

struct Task {
  int64_t part;  // which run of samples
  int64_t first_slice, n_slices;
  int64_t first_tile, n_tiles;
};

struct Plan {
  TileShape shape;
  bool few_positions = false;  // keep the moments of a tile in registers over all samples
  std::vector<int64_t> rows;   // the selected output rows
  std::vector<RowSlice> slices;
  std::vector<ColumnVector> vectors;
  std::vector<ColumnTile> tiles;
  std::vector<Task> tasks;
  int64_t n_parts = 1;          // runs of samples that are merged at the end, for weights too small to occupy threads
  int64_t slices_per_task = 1;  // at most
  int64_t plane_pitch = 0;      // elements of x between the lines of a plane
  int64_t plane_step = 0;       // and between the columns: channels of a group, or lanes of a task
};

constexpr int64_t kFewPositions = 8;  // up to here the moments of a panel's tiles stay in registers

Plan make_plan(const Problem& problem, const GradientOptions& options, TileShape shape);

}  // namespace lswag
