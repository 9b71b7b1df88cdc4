#include "cpu/gradient/pack.h"

#include <algorithm>
#include <cmath>

namespace lswag {
namespace {

constexpr int64_t kLineBytes = 64;

// Only where features or positions lie side by side and the others are evenly spaced, the usual cases.
Lookahead::Source source_lines(const Operand& operand, int64_t b, int64_t feature, int64_t n_features) {
  if (operand.n_dims != 1) return {};
  const int64_t bytes = element_bytes(operand.view.dtype);
  const int64_t first = b * operand.sample_stride + feature * operand.feature_stride;
  const char* start = static_cast<const char*>(at(operand.view, first));
  const int64_t pitch = operand.stride[0] * bytes;
  const int64_t feature_pitch = operand.feature_stride * bytes;
  if (operand.feature_stride == 1) {
    return {start, operand.size[0], pitch, ceil_div(n_features * bytes, kLineBytes), kLineBytes};
  }
  if (operand.stride[0] == 1) {
    return {start, ceil_div(operand.size[0] * bytes, kLineBytes), kLineBytes, n_features, feature_pitch};
  }
  return {};
}

}  // namespace

Lookahead::Lookahead(const Source& x, const Source& grad, int64_t n_tiles, int64_t stretches_per_tile)
    : sources_{x, grad}, stretches_(stretches_per_tile) {
  const int64_t n_lines = x.n_lines * x.n_passes + grad.n_lines * grad.n_passes;
  n_ = static_cast<int>(ceil_div(n_lines, std::max<int64_t>(1, n_tiles * stretches_per_tile)));
}

Lookahead::Lines Lookahead::next() {
  while (source_ < 2 && pass_ == sources_[source_].n_passes) {
    ++source_;
    pass_ = 0;
  }
  if (source_ == 2) return {};
  const Source& source = sources_[source_];
  const Lines lines{source.first + pass_ * source.pass_step + line_ * source.step, source.step, n_};
  line_ += n_ * stretches_;  // the end of a pass may be passed, which does no harm
  if (line_ >= source.n_lines) {
    line_ = 0;
    ++pass_;
  }
  return lines;
}

template <class T>
Packer<T>::Packer(const Problem& problem, const Plan& plan, const GradientOps<T>& ops, Exponents exponents)
    : problem_(problem),
      plan_(plan),
      ops_(ops),
      x_scale_(std::ldexp(T(1), exponents.x)),
      grad_scale_(std::ldexp(T(1), exponents.grad)),
      packed_positions_(problem.n_positions) {
  if (ops.pairs) {
    packed_positions_ = problem.form == Form::panel ? ops.pairs->n_pieces * whole_blocks(problem.n_positions) / 2 : 0;
    for (const CallOperands& call : problem.calls) packed_positions_ += packed_pairs(call);
  }
  const int64_t n_kept = plan.few_positions ? ceil_div(problem.n_samples, plan.n_parts) : 1;
  const int64_t width = problem.form == Form::depthwise ? ops.lanes : plan.slices_per_task * ops.tile_rows;
  grad_elements_ = n_kept * packed_positions_ * width;
  if (problem.form == Form::panel) {
    for (const Task& task : plan.tasks) {
      x_elements_ = std::max(x_elements_, task.n_tiles * n_kept * panel_pitch());
    }
    return;
  }
  for (const CallOperands& call : problem.calls) {
    plane_begin_.push_back(x_elements_);
    x_elements_ += (call.in.h + 2 * problem.conv.padding.h) * plan.plane_pitch;
  }
  plane_elements_ = x_elements_;
  // The last vector of a run may reach beyond the plane, and so may the last block.
  x_elements_ += ops.lanes;
  if (ops.pairs) x_elements_ += ops.pairs->block_positions * problem.conv.stride.w * plan.plane_step;
}

template <class T>
int64_t Packer<T>::whole_blocks(int64_t n_positions) const {
  return ceil_div(n_positions, ops_.pairs->block_positions) * ops_.pairs->block_positions;
}

// Without strides the lines of a plane are side by side, with its margins between them, and make one.
template <class T>
typename Packer<T>::Lines Packer<T>::lines_of(const CallOperands& call) const {
  if (problem_.conv.stride.h != 1 || problem_.conv.stride.w != 1) {
    return {call.out.h, whole_blocks(call.out.w), whole_blocks(call.out.w)};
  }
  const int64_t pitch = plan_.plane_pitch / plan_.plane_step;
  return {1, whole_blocks((call.out.h - 1) * pitch + call.out.w), pitch};
}

template <class T>
int64_t Packer<T>::packed_pairs(const CallOperands& call) const {
  if (problem_.form == Form::panel) return 0;  // those of all calls are packed as one
  const Lines lines = lines_of(call);
  return lines.n * lines.n_positions / 2;
}

// All positions of one sample, in order; `job` says where to and how.
template <class T>
void Packer<T>::positions(const Operand& operand, int64_t b, int64_t feature, PackJob<T> job) const {
  const int inner = operand.n_dims - 1;
  job.dtype = operand.view.dtype;
  job.feature_stride = operand.feature_stride;
  job.n_positions = inner < 0 ? 1 : operand.size[inner];
  job.position_stride = inner < 0 ? 0 : operand.stride[inner];
  job.n_lines = inner < 1 ? 1 : operand.size[inner - 1];
  job.line_stride = inner < 1 ? 0 : operand.stride[inner - 1];
  job.line_pitch = job.n_positions * job.position_pitch;
  int64_t n_runs = 1;
  for (int d = 0; d < inner - 1; ++d) n_runs *= operand.size[d];
  for (int64_t run = 0; run < n_runs; ++run) {
    int64_t offset = b * operand.sample_stride + feature * operand.feature_stride;
    int64_t rest = run;
    for (int d = inner - 2; d >= 0; --d) {
      offset += rest % operand.size[d] * operand.stride[d];
      rest /= operand.size[d];
    }
    job.source = at(operand.view, offset);
    ops_.pack(job);
    job.out += job.n_lines * job.line_pitch;
  }
}

template <class T>
void Packer<T>::grad(const Task& task, int64_t b, T* out, int64_t slice_pitch) const {
  PackJob<T> job{};
  job.panel_width = job.position_pitch = ops_.tile_rows;
  job.panel_pitch = slice_pitch;
  job.scale = grad_scale_;
  for (int64_t k = 0; k < task.n_slices;) {
    const RowSlice* slice = &plan_.slices[task.first_slice + k];
    const int64_t row = plan_.rows[slice->first];
    T* slice_out = out + k * slice_pitch;
    // Full slices of consecutive rows are packed together.
    job.n_features = 0;
    do {
      job.n_features += slice->n_rows;
      ++slice;
      ++k;
    } while (k < task.n_slices && job.n_features % ops_.tile_rows == 0 &&
             plan_.rows[slice->first] == row + job.n_features);
    for (const CallOperands& call : problem_.calls) {
      job.out = slice_out;
      if (ops_.pairs && problem_.form == Form::plane) {
        grad_lines(call, b, row, job);
        slice_out += 2 * packed_pairs(call) * ops_.tile_rows;
      } else {
        positions(call.grad, b, row, job);
        slice_out += call.n_positions * ops_.tile_rows;
      }
    }
  }
}

// Between the lines, and after the last, is what was there: zeros.
template <class T>
void Packer<T>::grad_lines(const CallOperands& call, int64_t b, int64_t row, PackJob<T> job) const {
  const View& view = call.grad.view;
  const int64_t line_stride = view.ndim == 4 ? view.stride[2] : 0;
  job.dtype = view.dtype;
  job.source = at(view, b * call.grad.sample_stride + row * call.grad.feature_stride);
  job.n_lines = call.out.h;
  job.line_stride = line_stride;
  job.n_positions = call.out.w;
  job.position_stride = view.stride[view.ndim - 1];
  job.feature_stride = call.grad.feature_stride;
  job.line_pitch = lines_of(call).pitch * ops_.tile_rows;
  ops_.pack(job);
}

template <class T>
void Packer<T>::panels(const Task& task, int64_t b, T* out, int64_t tile_pitch) const {
  const int64_t first = task.first_tile * panel_width();
  PackJob<T> job{};
  job.panel_width = job.position_pitch = panel_width();
  job.panel_pitch = tile_pitch;
  job.n_features = std::min(task.n_tiles * panel_width(), problem_.n_columns - first);
  job.scale = x_scale_;
  for (const CallOperands& call : problem_.calls) {
    job.out = out;
    positions(call.x, b, first, job);
    out += call.n_positions * panel_width();
  }
}

// Of planes first grad_out, then x: what lies between lines and in margins stays zero.
template <class T>
int64_t Packer<T>::unpaired_elements() const {
  if (!ops_.pairs) return 0;
  if (problem_.form == Form::panel) return std::max(unpaired_slice(), before_pairing(panel_pitch()));
  return plan_.slices_per_task * unpaired_slice() + x_elements_ + problem_.conv.stride.w * plan_.plane_step;
}

template <class T>
void Packer<T>::operands(const Task& task, int64_t b, T* grad, T* x, T* unpaired) const {
  const bool panel = problem_.form == Form::panel;
  if (ops_.pairs) return panel ? paired_panels(task, b, grad, x, unpaired) : paired_planes(task, b, grad, x, unpaired);
  this->grad(task, b, grad, slice_pitch());
  if (panel) panels(task, b, x, panel_pitch());
  if (!panel) planes(plan_.slices[task.first_slice].group, b, x);
}

// One slice or panel after the other, so that what is not paired yet stays in the first-level cache.
template <class T>
void Packer<T>::paired_panels(const Task& task, int64_t b, T* grad, T* x, T* unpaired) const {
  Task one = task;
  one.n_slices = one.n_tiles = 1;
  for (int64_t k = 0; k < task.n_slices; ++k, ++one.first_slice) {
    this->grad(one, b, unpaired, unpaired_slice());
    ops_.pairs->pair_slice(unpaired, problem_.n_positions, grad + k * slice_pitch());
  }
  for (int64_t k = 0; k < task.n_tiles; ++k, ++one.first_tile) {
    panels(one, b, unpaired, 0);
    ops_.pairs->pair_panel(unpaired, problem_.n_positions, panel_width(), x + k * panel_pitch());
  }
}

template <class T>
void Packer<T>::paired_planes(const Task& task, int64_t b, T* grad, T* x, T* unpaired) const {
  T* unpaired_x = unpaired + plan_.slices_per_task * unpaired_slice();
  this->grad(task, b, unpaired, unpaired_slice());
  for (int64_t k = 0; k < task.n_slices; ++k) {
    ops_.pairs->pair_slice(unpaired + k * unpaired_slice(), 2 * packed_positions_, grad + k * slice_pitch());
  }
  planes(plan_.slices[task.first_slice].group, b, unpaired_x);
  ops_.pairs->pair_plane(unpaired_x, plane_elements_, problem_.conv.stride.w * plan_.plane_step, x);
}

template <class T>
Lookahead Packer<T>::lookahead(const Task& task, int64_t b) const {
  const CallOperands& call = problem_.calls.front();
  const bool panel = problem_.form == Form::panel;
  const int64_t row = plan_.rows[plan_.slices[task.first_slice].first];
  const int64_t column =
      panel ? task.first_tile * panel_width() : plan_.slices[task.first_slice].group * plan_.plane_step;
  const int64_t n_columns =
      panel ? std::min(task.n_tiles * panel_width(), problem_.n_columns - column) : plan_.plane_step;
  int64_t stretches = panel ? ceil_div(call.n_positions, kStretch) : call.out.h * ceil_div(call.out.w, kStretch);
  if (ops_.pairs && !panel) stretches = 2 * packed_pairs(call) / kStretch;
  return {source_lines(call.x, b, column, n_columns),
          source_lines(call.grad, b, row, std::min(task.n_slices * ops_.tile_rows, problem_.n_rows - row)),
          task.n_tiles * task.n_slices, stretches};
}

// n_features channels of one call's x into the inside of its plane.
template <class T>
void Packer<T>::lines(const CallOperands& call, int64_t b, int64_t feature, int64_t n_features, T* out) const {
  const View& view = call.x.view;
  const int64_t line_stride = view.ndim == 4 ? view.stride[2] : 0;
  PackJob<T> job{};
  job.dtype = view.dtype;
  job.source = at(view, b * call.x.sample_stride + feature * call.x.feature_stride);
  job.n_lines = call.in.h;
  job.line_stride = line_stride;
  job.n_positions = call.in.w;
  job.position_stride = view.stride[view.ndim - 1];
  job.n_features = job.panel_width = n_features;
  job.feature_stride = call.x.feature_stride;
  job.out = out + problem_.conv.padding.h * plan_.plane_pitch + problem_.conv.padding.w * plan_.plane_step;
  job.line_pitch = plan_.plane_pitch;
  job.position_pitch = plan_.plane_step;
  job.scale = x_scale_;
  ops_.pack(job);
}

template <class T>
void Packer<T>::planes(int64_t group, int64_t b, T* out) const {
  const int64_t channels = plan_.plane_step;
  for (size_t c = 0; c < problem_.calls.size(); ++c) {
    lines(problem_.calls[c], b, group * channels, channels, out + plane_begin_[c]);
  }
}

template <class T>
void Packer<T>::lanes(const RowSlice& slice, int64_t b, T* grad, T* x) const {
  const int64_t multiplier = problem_.n_rows / problem_.conv.groups;
  for (int k = 0; k < slice.n_rows;) {
    const int64_t row = plan_.rows[slice.first + k];
    int n = 1;  // lanes whose rows and channels are both consecutive
    while (multiplier == 1 && k + n < slice.n_rows && plan_.rows[slice.first + k + n] == row + n) ++n;
    PackJob<T> job{};
    job.n_features = job.panel_width = n;
    job.position_pitch = ops_.lanes;
    job.scale = grad_scale_;
    T* grad_out = grad + k;
    for (size_t c = 0; c < problem_.calls.size(); ++c) {
      const CallOperands& call = problem_.calls[c];
      job.out = grad_out;
      positions(call.grad, b, row, job);
      grad_out += call.n_positions * ops_.lanes;
      lines(call, b, row / multiplier, n, x + plane_begin_[c] + k);
    }
    k += n;
  }
}

template <class T>
void Packer<T>::plane_calls(const T* grad, const T* x, int64_t grad_step, std::vector<TileCall<T>>* calls) const {
  calls->clear();
  for (size_t c = 0; c < problem_.calls.size(); ++c) {
    const CallOperands& call = problem_.calls[c];
    const int64_t row_pitch = problem_.conv.stride.h * plan_.plane_pitch;
    const int64_t col_step = problem_.conv.stride.w * plan_.plane_step;
    if (ops_.pairs) {
      const Lines lines = lines_of(call);
      calls->push_back({grad, x + plane_begin_[c], lines.n, lines.n_positions, row_pitch, 2 * col_step});
      grad += packed_pairs(call) * grad_step;
    } else {
      calls->push_back({grad, x + plane_begin_[c], call.out.h, call.out.w, row_pitch, col_step});
      grad += call.n_positions * grad_step;
    }
  }
}

template class Packer<float>;
template class Packer<double>;

}  // namespace lswag
