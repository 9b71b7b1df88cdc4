// Runs a plan over the threads: for a task, sample after sample is packed and the moments of its tiles are updated.
#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/buffer.h"
#include "cpu/gradient/finish.h"
#include "cpu/gradient/pack.h"
#include "cpu/gradient/plan.h"
#include "cpu/gradient/scan.h"
#include "cpu/isa/kernel_table.h"
#include "kernels.h"

namespace lswag {
namespace {

constexpr double kThreadedWork = 1e6;  // multiply-adds below which waking threads costs more than it saves
constexpr int64_t kCutPositions = 96;  // from here on, and for weights of so many rows and columns, pieces pay
constexpr int64_t kCutSide = 128;
constexpr int64_t kCutShare = 7;  // of 8, in use

template <class T>
void set_zero(T* p, int64_t n) {
  std::memset(p, 0, sizeof(T) * n);
}

template <class T>
struct Scratch {
  Buffer<T> grad;
  Buffer<T> x;
  Buffer<T> state;
  Buffer<T> unpaired;
  unsigned char tile_config[kTileConfigBytes];
  std::vector<TileCall<T>> calls;
  Lookahead ahead;
  PendingTile<T> pending = {};
};

template <class T>
class Engine {
 public:
  Engine(const Problem& problem, const Plan& plan, const GradientOptions& options, const GradientOps<T>& ops,
         const Scales& scales);
  GradientStats run();

 private:
  void allocate();
  void run_task(const Task& task, Scratch<T>& scratch);
  void run_panels(const Task& task, Scratch<T>& scratch);
  void run_samples(const Task& task, Scratch<T>& scratch);
  void run_planes(const Task& task, Scratch<T>& scratch);
  void run_lanes(const Task& task, Scratch<T>& scratch);
  void run_tiles(const Task& task, Scratch<T>& scratch, TileJob<T> job, int64_t tile);
  void merge_parts(int64_t slice);

  int64_t begin(int64_t part) const { return part_begin(problem_.n_samples, plan_.n_parts, part); }
  TileJob<T> tile_job(const Task& task, int64_t b) const;
  T* state_of(const Task& task, Scratch<T>& scratch, int64_t slice, int64_t tile);
  T* part_state(int64_t part, int64_t slice, int64_t tile);

  const Problem& problem_;
  const Plan& plan_;
  const GradientOptions& options_;
  const GradientOps<T>& ops_;
  Packer<T> packer_;
  Finisher<T> finisher_;
  int n_threads_;
  int64_t state_pitch_;       // elements between the states of two tiles
  std::vector<T> inv_count_;  // 1 / (k + 1)
  std::vector<Scratch<T>> scratch_;
  Buffer<T> parts_;  // states (part, slice, tile); used if there are several parts
};

template <class T>
Engine<T>::Engine(const Problem& problem, const Plan& plan, const GradientOptions& options, const GradientOps<T>& ops,
                  const Scales& scales)
    : problem_(problem),
      plan_(plan),
      options_(options),
      ops_(ops),
      packer_(problem, plan, ops, scales.chosen.exponents),
      finisher_(problem, plan, options, ops, scales),
      n_threads_(std::max(1, options.n_threads)),
      state_pitch_(plan.tiles.empty() ? 0 : finisher_.array_elements(0) * (options.batch_gradient ? 3 : 2)) {
  const double work = static_cast<double>(problem.n_samples) * static_cast<double>(problem.n_positions) *
                      static_cast<double>(plan.rows.size()) * static_cast<double>(problem.n_columns);
  if (work < kThreadedWork) n_threads_ = 1;
  n_threads_ = static_cast<int>(std::clamp<int64_t>(static_cast<int64_t>(plan.tasks.size()), 1, n_threads_));
  for (int64_t k = 0; k < problem.n_samples; ++k) inv_count_.push_back(T(1) / static_cast<T>(k + 1));
}

// Before the threads start, where running out of memory can still be reported.
template <class T>
void Engine<T>::allocate() {
  int64_t task_tiles = 0;
  for (const Task& task : plan_.tasks) task_tiles = std::max(task_tiles, task.n_slices * task.n_tiles);
  if (plan_.n_parts > 1) {
    parts_.allocate(plan_.n_parts * static_cast<int64_t>(plan_.slices.size() * plan_.tiles.size()) * state_pitch_);
  }
  scratch_.resize(n_threads_);
  for (Scratch<T>& scratch : scratch_) {
    scratch.grad.allocate(packer_.grad_elements());
    scratch.x.allocate(packer_.x_elements());
    scratch.unpaired.allocate(packer_.unpaired_elements());
    if (plan_.n_parts == 1) scratch.state.allocate(task_tiles * state_pitch_);
  }
}

template <class T>
GradientStats Engine<T>::run() {
  allocate();
#pragma omp parallel num_threads(n_threads_)
  {
    Scratch<T>& scratch = scratch_[thread_number()];
    if (problem_.form != Form::panel) {
      // Margins of planes and unused lanes; the rest is overwritten.
      set_zero(scratch.x.get(), packer_.x_elements());
      set_zero(scratch.grad.get(), packer_.grad_elements());
      set_zero(scratch.unpaired.get(), packer_.unpaired_elements());
    }
    if (ops_.pairs && ops_.pairs->begin) ops_.pairs->begin(scratch.tile_config);
#pragma omp for schedule(dynamic, 1)
    for (size_t k = 0; k < plan_.tasks.size(); ++k) run_task(plan_.tasks[k], scratch);
    if (ops_.pairs && ops_.pairs->end) ops_.pairs->end(scratch.tile_config);
    if (plan_.n_parts > 1) {
#pragma omp for schedule(dynamic, 1)
      for (size_t slice = 0; slice < plan_.slices.size(); ++slice) merge_parts(static_cast<int64_t>(slice));
    }
  }
  return finisher_.add_up();
}

template <class T>
T* Engine<T>::part_state(int64_t part, int64_t slice, int64_t tile) {
  const int64_t n_slices = static_cast<int64_t>(plan_.slices.size());
  const int64_t n_tiles = static_cast<int64_t>(plan_.tiles.size());
  return parts_.get() + ((part * n_slices + slice) * n_tiles + tile) * state_pitch_;
}

template <class T>
T* Engine<T>::state_of(const Task& task, Scratch<T>& scratch, int64_t slice, int64_t tile) {
  if (plan_.n_parts > 1) return part_state(task.part, task.first_slice + slice, task.first_tile + tile);
  return scratch.state.get() + (slice * task.n_tiles + tile) * state_pitch_;
}

template <class T>
TileJob<T> Engine<T>::tile_job(const Task& task, int64_t b) const {
  TileJob<T> job{};
  job.moments = {nullptr, options_.absolute, options_.batch_gradient, inv_count_[b - begin(task.part)]};
  return job;
}

template <class T>
void Engine<T>::run_task(const Task& task, Scratch<T>& scratch) {
  for (int64_t slice = 0; slice < task.n_slices; ++slice) {
    set_zero(state_of(task, scratch, slice, 0), task.n_tiles * state_pitch_);
  }
  if (problem_.form == Form::depthwise) {
    run_lanes(task, scratch);
  } else if (problem_.form == Form::plane) {
    run_planes(task, scratch);
  } else if (plan_.few_positions) {
    run_samples(task, scratch);
  } else {
    run_panels(task, scratch);
  }
  if (plan_.n_parts > 1) return;
  for (int64_t slice = 0; slice < task.n_slices; ++slice) {
    for (int64_t tile = 0; tile < task.n_tiles; ++tile) {
      finisher_.finish_tile(task.first_slice + slice, task.first_tile + tile, state_of(task, scratch, slice, tile));
    }
  }
}

// One column tile of all slices of a task; job.calls are those of the first slice.
template <class T>
void Engine<T>::run_tiles(const Task& task, Scratch<T>& scratch, TileJob<T> job, int64_t tile) {
  const ColumnTile& columns = plan_.tiles[task.first_tile + tile];
  int64_t offset[kMaxTileVectors];
  for (int v = 0; v < columns.n_vectors; ++v) offset[v] = plan_.vectors[columns.first + v].offset;
  job.offset = offset;
  job.n_vectors = columns.n_vectors;
  job.pending = &scratch.pending;
  job.calls = scratch.calls.data();
  job.n_calls = static_cast<int>(scratch.calls.size());
  for (int64_t slice = 0; slice < task.n_slices; ++slice) {
    job.moments.state = state_of(task, scratch, slice, tile);
    const Lookahead::Lines lines = scratch.ahead.next();
    job.ahead = lines.first;
    job.ahead_step = lines.step;
    job.n_ahead = lines.n;
    ops_.tile(job);
    for (TileCall<T>& call : scratch.calls) call.grad += packer_.slice_pitch();
  }
}

template <class T>
void Engine<T>::run_panels(const Task& task, Scratch<T>& scratch) {
  const int64_t width = packer_.panel_width();
  const int64_t n_positions = problem_.n_positions;
  for (int64_t b = begin(task.part); b < begin(task.part + 1); ++b) {
    packer_.operands(task, b, scratch.grad.get(), scratch.x.get(), scratch.unpaired.get());
    scratch.ahead = b + 1 < begin(task.part + 1) ? packer_.lookahead(task, b + 1) : Lookahead();
    for (int64_t tile = 0; tile < task.n_tiles; ++tile) {
      const T* x = scratch.x.get() + tile * packer_.panel_pitch();
      scratch.calls.assign(1, {scratch.grad.get(), x, 1, n_positions, 0, width});
      run_tiles(task, scratch, tile_job(task, b), tile);
    }
  }
  if (ops_.pairs && ops_.pairs->take_up) ops_.pairs->take_up(scratch.pending);
}

template <class T>
void Engine<T>::run_samples(const Task& task, Scratch<T>& scratch) {
  const int64_t first = begin(task.part);
  const int64_t n_samples = begin(task.part + 1) - first;
  const int64_t grad_step = problem_.n_positions * ops_.tile_rows;
  const int64_t x_step = problem_.n_positions * packer_.panel_width();
  for (int64_t b = 0; b < n_samples; ++b) {
    packer_.grad(task, first + b, scratch.grad.get() + b * grad_step, n_samples * grad_step);
    packer_.panels(task, first + b, scratch.x.get() + b * x_step, n_samples * x_step);
  }
  SamplesJob<T> job{};
  job.n_samples = n_samples;
  job.n_positions = problem_.n_positions;
  job.x_pitch = packer_.panel_width();
  job.absolute = options_.absolute;
  job.batch_gradient = options_.batch_gradient;
  job.inv_count = inv_count_.data();
  for (int64_t tile = 0; tile < task.n_tiles; ++tile) {
    job.x = scratch.x.get() + tile * n_samples * x_step;
    job.n_vectors = plan_.tiles[task.first_tile + tile].n_vectors;
    for (int64_t slice = 0; slice < task.n_slices; ++slice) {
      job.grad = scratch.grad.get() + slice * n_samples * grad_step;
      job.state = state_of(task, scratch, slice, tile);
      ops_.tile_samples(job);
    }
  }
}

template <class T>
void Engine<T>::run_planes(const Task& task, Scratch<T>& scratch) {
  for (int64_t b = begin(task.part); b < begin(task.part + 1); ++b) {
    packer_.operands(task, b, scratch.grad.get(), scratch.x.get(), scratch.unpaired.get());
    scratch.ahead = b + 1 < begin(task.part + 1) ? packer_.lookahead(task, b + 1) : Lookahead();
    for (int64_t tile = 0; tile < task.n_tiles; ++tile) {
      packer_.plane_calls(scratch.grad.get(), scratch.x.get(), ops_.tile_rows, &scratch.calls);
      run_tiles(task, scratch, tile_job(task, b), tile);
    }
  }
}

template <class T>
void Engine<T>::run_lanes(const Task& task, Scratch<T>& scratch) {
  packer_.plane_calls(scratch.grad.get(), scratch.x.get(), ops_.lanes, &scratch.calls);
  for (int64_t b = begin(task.part); b < begin(task.part + 1); ++b) {
    packer_.lanes(plan_.slices[task.first_slice], b, scratch.grad.get(), scratch.x.get());
    TileJob<T> job = tile_job(task, b);
    job.calls = scratch.calls.data();
    job.n_calls = static_cast<int>(scratch.calls.size());
    job.grad_step = ops_.lanes;
    for (int64_t tile = 0; tile < task.n_tiles; ++tile) {
      const ColumnTile& taps = plan_.tiles[task.first_tile + tile];
      int64_t offset[kMaxTaps];
      for (int k = 0; k < taps.n_vectors; ++k) offset[k] = plan_.vectors[taps.first + k].offset;
      job.offset = offset;
      job.n_vectors = taps.n_vectors;
      job.moments.state = state_of(task, scratch, 0, tile);
      ops_.depthwise(job);
    }
  }
}

// In the order of the parts, whoever computed them.
template <class T>
void Engine<T>::merge_parts(int64_t slice) {
  for (int64_t tile = 0; tile < static_cast<int64_t>(plan_.tiles.size()); ++tile) {
    T* state = part_state(0, slice, tile);
    for (int64_t part = 1; part < plan_.n_parts; ++part) {
      ops_.merge(state, part_state(part, slice, tile), finisher_.array_elements(tile), options_.batch_gradient,
                 begin(part), begin(part + 1) - begin(part));
    }
    finisher_.finish_tile(slice, tile, state);
  }
}

// Whether the groups of a convolution have rows for a tile, and its lines positions for a quarter of their blocks.
bool fills_tiles(const Problem& problem, const GradientOps<float>& ops) {
  constexpr int64_t kLeastShare = 4;
  const bool strided = problem.conv.stride.h != 1 || problem.conv.stride.w != 1;
  bool fills = problem.n_rows / problem.conv.groups >= ops.tile_rows;
  for (const CallOperands& call : problem.calls) {
    fills = fills && (!strided || call.out.w * kLeastShare >= ops.pairs->block_positions);
  }
  return fills;
}

bool all_are(const Problem& problem, DType dtype) {
  bool are = true;
  for (const CallOperands& call : problem.calls) {
    are = are && call.x.view.dtype == dtype && call.grad.view.dtype == dtype;
  }
  return are;
}

// Tiles of pairs are for operands that are bfloat16, and where packing them pays.
bool pays_to_pair(const Problem& problem, const KernelTable& table) {
  return table.gradient_bf16 && problem.form != Form::depthwise && problem.n_positions > kFewPositions &&
         (problem.form == Form::panel || fills_tiles(problem, *table.gradient_bf16)) && all_are(problem, DType::bf16);
}

// Whether most of n is used where it is filled up to whole tiles.
bool fills(int64_t n, int64_t tile) { return kCutShare * ceil_div(n, tile) * tile <= (kCutShare + 1) * n; }

// Cutting floats into pieces costs more than pairing bfloat16, so that it pays for larger weights only, and for all of
// their rows: tiles of selected ones would be largely empty.
bool pays_to_cut(const Problem& problem, const GradientOptions& options, const KernelTable& table) {
  if (!table.gradient_pieces || problem.form != Form::panel || options.row_blocks) return false;
  const GradientOps<float>& ops = *table.gradient_pieces;
  return problem.n_positions >= kCutPositions && std::min(problem.n_rows, problem.n_columns) >= kCutSide &&
         fills(problem.n_positions, ops.pairs->block_positions) && fills(problem.n_rows, ops.tile_rows) &&
         fills(problem.n_columns, ops.tile_vectors * ops.lanes) && all_are(problem, DType::f32);
}

const GradientOps<float>& float_ops(const Problem& problem, const GradientOptions& options, const KernelTable& table) {
  if (pays_to_pair(problem, table)) return *table.gradient_bf16;
  return pays_to_cut(problem, options, table) ? *table.gradient_pieces : table.gradient_f32;
}

template <class T>
GradientStats run_problem(const Problem& problem, const GradientOptions& options, const GradientOps<T>& ops) {
  const Plan plan = make_plan(problem, options, {ops.lanes, ops.tile_rows, ops.tile_vectors, ops.task_rows});
  const bool continued = options.moments && options.moments->count > 0;
  const Scales scales = scan_operands(problem, kExponentLimit<T>, continued ? options.moments->exponent : kNoExponent,
                                      std::max(1, options.n_threads));
  const GradientStats stats = Engine<T>(problem, plan, options, ops, scales).run();
  if (options.moments) {
    options.moments->count += problem.n_samples;
    options.moments->exponent = scales.chosen.of_state;
    options.moments->squares = (continued ? options.moments->squares : 0) + scales.squares;
  }
  return stats;
}

}  // namespace

GradientStats gradient_stats(const GradientCall* calls, int n_calls, const GradientOptions& options) {
  const Problem problem = describe_problem(calls, n_calls, options.conv);
  const KernelTable& table = active_kernels();
  return computes_in_double(calls, n_calls) ? run_problem(problem, options, table.gradient_f64)
                                            : run_problem(problem, options, float_ops(problem, options, table));
}

}  // namespace lswag
