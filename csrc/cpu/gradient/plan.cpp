#include "cpu/gradient/plan.h"

#include <algorithm>

#include "cpu/gradient/ops.h"

namespace lswag {
namespace {

constexpr int64_t kTaskColumns = 384;  // of a task with all its rows; one with fewer rows has more columns
constexpr int64_t kEnoughTasks = 8;    // with fewer, the samples are cut into parts
constexpr int64_t kTasksPerThread = 2;

// The size of pieces, at most `limit`, that cut n most evenly.
int64_t balanced(int64_t n, int64_t limit) { return ceil_div(n, ceil_div(n, limit)); }

std::vector<int64_t> selected_rows(const Problem& problem, const GradientOptions& options) {
  std::vector<int64_t> rows;
  for (int64_t block : selected_blocks(options, problem.n_rows)) {
    const int64_t end = std::min((block + 1) * kRowBlock, problem.n_rows);
    for (int64_t row = block * kRowBlock; row < end; ++row) rows.push_back(row);
  }
  return rows;
}

void cut_dense_rows(const Problem& problem, Plan& plan) {
  const int64_t rows_per_group = std::max<int64_t>(1, problem.n_rows / problem.conv.groups);
  const int64_t n = static_cast<int64_t>(plan.rows.size());
  for (int64_t first = 0; first < n;) {
    const int64_t group = plan.rows[first] / rows_per_group;
    int count = 1;
    while (count < plan.shape.rows && first + count < n && plan.rows[first + count] == plan.rows[first] + count &&
           plan.rows[first + count] / rows_per_group == group) {
      ++count;
    }
    plan.slices.push_back({first, count, group});
    first += count;
  }
}

void cut_depthwise_rows(Plan& plan) {
  const int64_t n = static_cast<int64_t>(plan.rows.size());
  for (int64_t first = 0; first < n; first += plan.shape.lanes) {
    plan.slices.push_back({first, static_cast<int>(std::min<int64_t>(plan.shape.lanes, n - first)), 0});
  }
}

// Planes of all calls share one pitch, so that a tap is one offset.
void set_plane_pitch(const Problem& problem, Plan& plan) {
  int64_t width = 0;
  for (const CallOperands& call : problem.calls) width = std::max(width, call.in.w + 2 * problem.conv.padding.w);
  plan.plane_pitch = width * plan.plane_step;
}

// `n` weight columns that lie side by side at `offset` from a position.
void add_run(Plan& plan, int64_t column, int64_t n, int64_t offset) {
  for (int64_t k = 0; k < n; k += plan.shape.lanes) {
    plan.vectors.push_back({column + k, static_cast<int>(std::min<int64_t>(plan.shape.lanes, n - k)), offset + k});
  }
}

void add_panel_columns(const Problem& problem, Plan& plan) {
  const int64_t panel = static_cast<int64_t>(plan.shape.lanes) * plan.shape.vectors;
  for (int64_t first = 0; first < problem.n_columns; first += panel) {
    add_run(plan, first, std::min(panel, problem.n_columns - first), 0);
  }
}

// Without dilation along the width, the taps of a kernel row are neighbours in the plane and form one run.
void add_plane_columns(const Problem& problem, Plan& plan) {
  const Conv& conv = problem.conv;
  const int64_t channels = plan.plane_step;
  const bool joined = conv.dilation.w == 1;
  for (int64_t ky = 0; ky < conv.kernel.h; ++ky) {
    const int64_t line = ky * conv.dilation.h * plan.plane_pitch;
    for (int64_t kx = 0; kx < (joined ? 1 : conv.kernel.w); ++kx) {
      add_run(plan, (ky * conv.kernel.w + kx) * channels, joined ? conv.kernel.w * channels : channels,
              line + kx * conv.dilation.w * channels);
    }
  }
}

void add_taps(const Problem& problem, Plan& plan) {
  const Conv& conv = problem.conv;
  for (int64_t ky = 0; ky < conv.kernel.h; ++ky) {
    for (int64_t kx = 0; kx < conv.kernel.w; ++kx) {
      plan.vectors.push_back({ky * conv.kernel.w + kx, 1,
                              ky * conv.dilation.h * plan.plane_pitch + kx * conv.dilation.w * plan.plane_step});
    }
  }
}

void cut_tiles(Plan& plan, bool depthwise) {
  const int64_t n = static_cast<int64_t>(plan.vectors.size());
  for (int64_t first = 0; first < n;) {
    int64_t size = std::min<int64_t>(plan.shape.vectors, n - first);
    if (depthwise) {
      // The tap counts that the inner loop is compiled for.
      const int64_t left = n - first;
      size = left >= kMaxTaps ? kMaxTaps : left >= 5 ? 5 : left >= 3 ? 3 : 1;
    }
    plan.tiles.push_back({first, static_cast<int>(size)});
    first += size;
  }
}

void add_tasks(Plan& plan, int64_t tiles_per_task) {
  const int64_t n_slices = static_cast<int64_t>(plan.slices.size());
  const int64_t n_tiles = static_cast<int64_t>(plan.tiles.size());
  plan.tasks.clear();
  for (int64_t first = 0; first < n_slices;) {
    int64_t end = first + 1;  // a task stays within one group
    while (end < n_slices && plan.slices[end].group == plan.slices[first].group) ++end;
    const int64_t n_tasks = ceil_div(end - first, plan.slices_per_task);
    for (int64_t k = 0; k < n_tasks; ++k) {
      const int64_t begin = first + (end - first) * k / n_tasks;
      const int64_t count = first + (end - first) * (k + 1) / n_tasks - begin;
      for (int64_t tile = 0; tile < n_tiles; tile += tiles_per_task) {
        for (int64_t part = 0; part < plan.n_parts; ++part) {
          plan.tasks.push_back({part, begin, count, tile, std::min(tiles_per_task, n_tiles - tile)});
        }
      }
    }
    first = end;
  }
}

void cut_tasks(const Problem& problem, Plan& plan, int n_threads) {
  const int64_t n_tiles = static_cast<int64_t>(plan.tiles.size());
  int64_t tiles_per_task = n_tiles;
  if (problem.form != Form::depthwise) {
    const int64_t rows_per_group = ceil_div(static_cast<int64_t>(plan.rows.size()), problem.conv.groups);
    plan.slices_per_task = ceil_div(std::clamp<int64_t>(rows_per_group, 1, plan.shape.task_rows), plan.shape.rows);
    const int64_t tile_elements = plan.slices_per_task * plan.shape.rows * plan.shape.vectors * plan.shape.lanes;
    tiles_per_task = balanced(n_tiles, std::max<int64_t>(1, plan.shape.task_rows * kTaskColumns / tile_elements));
  }
  add_tasks(plan, tiles_per_task);
  const int64_t n_tasks = static_cast<int64_t>(plan.tasks.size());
  if (n_tasks > 0 && n_tasks < kEnoughTasks) {
    plan.n_parts = std::clamp<int64_t>(problem.n_samples / kPartSamples, 1, ceil_div(kEnoughTasks, n_tasks));
    add_tasks(plan, tiles_per_task);
  }
  while (tiles_per_task > 1 && static_cast<int64_t>(plan.tasks.size()) < kTasksPerThread * n_threads) {
    tiles_per_task = ceil_div(tiles_per_task, 2);
    add_tasks(plan, tiles_per_task);
  }
}

}  // namespace

Plan make_plan(const Problem& problem, const GradientOptions& options, TileShape shape) {
  Plan plan;
  plan.shape = shape;
  plan.rows = selected_rows(problem, options);
  const bool depthwise = problem.form == Form::depthwise;
  if (depthwise) {
    cut_depthwise_rows(plan);
    plan.plane_step = shape.lanes;
    set_plane_pitch(problem, plan);
    add_taps(problem, plan);
  } else {
    cut_dense_rows(problem, plan);
    if (problem.form == Form::plane) {
      plan.plane_step = problem.calls.front().x.n_features / problem.conv.groups;
      set_plane_pitch(problem, plan);
      add_plane_columns(problem, plan);
    } else {
      plan.few_positions = problem.n_positions <= kFewPositions;
      add_panel_columns(problem, plan);
    }
  }
  cut_tiles(plan, depthwise);
  if (!plan.tiles.empty()) cut_tasks(problem, plan, options.n_threads);
  return plan;
}

}  // namespace lswag
