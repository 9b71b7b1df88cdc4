#include "common/gradient_problem.h"

#include <stdexcept>
#include <string>

#include "common/integers.h"

namespace lswag {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

// Positions are dimensions [first, last) of the view, features dimension `feature`.
Operand make_operand(const View& view, int feature, int first, int last) {
  Operand operand;
  operand.view = view;
  operand.sample_stride = view.stride[0];
  operand.feature_stride = view.stride[feature];
  operand.n_features = view.size[feature];
  for (int d = first; d < last; ++d) {
    if (view.size[d] == 1) continue;
    const int previous = operand.n_dims - 1;
    if (previous >= 0 && operand.stride[previous] == view.size[d] * view.stride[d]) {
      operand.size[previous] *= view.size[d];
      operand.stride[previous] = view.stride[d];
      continue;
    }
    operand.size[operand.n_dims] = view.size[d];
    operand.stride[operand.n_dims] = view.stride[d];
    ++operand.n_dims;
  }
  return operand;
}

CallOperands linear_operands(const GradientCall& call) {
  const int ndim = call.x.ndim;
  if (ndim < 2 || call.grad_out.ndim != ndim) refuse("x and grad_out of a linear call need the same 2 to 8 dimensions");
  CallOperands operands;
  operands.n_positions = 1;
  for (int d = 0; d < ndim - 1; ++d) {
    if (call.x.size[d] != call.grad_out.size[d]) refuse("x and grad_out differ in their samples or positions");
    if (d > 0) operands.n_positions *= call.x.size[d];
  }
  operands.x = make_operand(call.x, ndim - 1, 1, ndim - 1);
  operands.grad = make_operand(call.grad_out, ndim - 1, 1, ndim - 1);
  return operands;
}

int64_t conv_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  const int64_t span = in + 2 * padding - dilation * (kernel - 1) - 1;
  return span < 0 ? 0 : span / stride + 1;
}

// A convolution of single positions is a linear map of those that it meets, with a stride not of all.
bool is_linear(const Conv& conv) {
  return conv.kernel.h == 1 && conv.kernel.w == 1 && conv.padding.h == 0 && conv.padding.w == 0 && conv.groups == 1;
}

View met_positions(View x, const Conv& conv, Extent out) {
  const int last = x.ndim - 1;
  x.size[last] = out.w;
  x.stride[last] *= conv.stride.w;
  if (last > 2) {
    x.size[last - 1] = out.h;
    x.stride[last - 1] *= conv.stride.h;
  }
  return x;
}

CallOperands conv_operands(const GradientCall& call, const Conv& conv, int n_dims) {
  const int ndim = 2 + n_dims;
  if (call.x.ndim != ndim || call.grad_out.ndim != ndim) {
    refuse("x and grad_out of a conv" + std::to_string(n_dims) + "d call need " + std::to_string(ndim) + " dimensions");
  }
  if (call.x.size[0] != call.grad_out.size[0]) refuse("x and grad_out differ in their number of samples");
  CallOperands operands;
  operands.in = {n_dims == 2 ? call.x.size[2] : 1, call.x.size[ndim - 1]};
  operands.out = {n_dims == 2 ? call.grad_out.size[2] : 1, call.grad_out.size[ndim - 1]};
  const Conv& c = conv;
  if (operands.out.h != conv_size(operands.in.h, c.kernel.h, c.stride.h, c.padding.h, c.dilation.h) ||
      operands.out.w != conv_size(operands.in.w, c.kernel.w, c.stride.w, c.padding.w, c.dilation.w)) {
    refuse("the spatial sizes of x and grad_out do not fit the convolution's kernel, stride, padding and dilation");
  }
  operands.n_positions = operands.out.h * operands.out.w;
  operands.x = make_operand(is_linear(c) ? met_positions(call.x, c, operands.out) : call.x, 1, 2, ndim);
  operands.grad = make_operand(call.grad_out, 1, 2, ndim);
  return operands;
}

Extent extent(const int64_t (&values)[2], int n_dims, int64_t missing) {
  return n_dims == 2 ? Extent{values[0], values[1]} : Extent{missing, values[0]};
}

Conv read_geometry(const ConvGeometry& geometry) {
  const int n = geometry.n_dims;
  if (n != 1 && n != 2) refuse("convolutions have 1 or 2 spatial dimensions here");
  const Conv conv{extent(geometry.kernel, n, 1), extent(geometry.stride, n, 1), extent(geometry.padding, n, 0),
                  extent(geometry.dilation, n, 1), geometry.groups};
  for (int64_t value :
       {conv.kernel.h, conv.kernel.w, conv.stride.h, conv.stride.w, conv.dilation.h, conv.dilation.w, conv.groups}) {
    if (value < 1) refuse("kernel size, stride, dilation and groups of a convolution are at least 1");
  }
  if (conv.padding.h < 0 || conv.padding.w < 0) refuse("the padding of a convolution is at least 0");
  return conv;
}

Form form_of(const Conv& conv, int64_t channels_per_group) {
  if (is_linear(conv)) return Form::panel;
  return channels_per_group == 1 && conv.groups > 1 ? Form::depthwise : Form::plane;
}

void set_shape(Problem& problem, bool is_conv) {
  const CallOperands& first = problem.calls.front();
  problem.n_samples = first.x.view.size[0];
  problem.n_rows = first.grad.n_features;
  problem.n_columns = first.x.n_features;
  for (const CallOperands& call : problem.calls) {
    if (call.x.view.size[0] != problem.n_samples) refuse("the calls of one weight differ in their number of samples");
    if (call.x.n_features != problem.n_columns || call.grad.n_features != problem.n_rows) {
      refuse("the calls of one weight differ in their features");
    }
    problem.n_positions += call.n_positions;
  }
  if (!is_conv) return;
  const Conv& conv = problem.conv;
  if (problem.n_columns % conv.groups || problem.n_rows % conv.groups) refuse("groups do not divide the channels");
  const int64_t channels_per_group = problem.n_columns / conv.groups;
  problem.form = form_of(conv, channels_per_group);
  problem.n_columns = channels_per_group * conv.kernel.h * conv.kernel.w;
}

}  // namespace

bool computes_in_double(const GradientCall* calls, int n_calls) {
  for (int c = 0; c < n_calls; ++c) {
    if (calls[c].x.dtype == DType::f64 || calls[c].grad_out.dtype == DType::f64) return true;
  }
  return false;
}

std::vector<int64_t> selected_blocks(const GradientOptions& options, int64_t n_rows) {
  const int64_t n_blocks = ceil_div(n_rows, kRowBlock);
  std::vector<int64_t> blocks;
  if (!options.row_blocks) {
    for (int64_t block = 0; block < n_blocks; ++block) blocks.push_back(block);
    return blocks;
  }
  for (int64_t k = 0; k < options.n_row_blocks; ++k) {
    const int64_t block = options.row_blocks[k];
    if (block <= (k ? blocks.back() : -1) || block >= n_blocks) {
      refuse("row_blocks must be increasing and below " + std::to_string(n_blocks));
    }
    blocks.push_back(block);
  }
  return blocks;
}

void check_weight(const View& weight, int64_t n_rows, int64_t n_columns) {
  int64_t n = 1;
  for (int d = 1; d < weight.ndim; ++d) n *= weight.size[d];
  if (weight.ndim < 2 || weight.size[0] != n_rows || n != n_columns)
    refuse("the weight's shape does not fit its calls");
}

Problem describe_problem(const GradientCall* calls, int n_calls, const ConvGeometry* conv) {
  if (n_calls < 1) refuse("at least one call (x, grad_out) is needed");
  Problem problem;
  if (conv) problem.conv = read_geometry(*conv);
  for (int c = 0; c < n_calls; ++c) {
    problem.calls.push_back(conv ? conv_operands(calls[c], problem.conv, conv->n_dims) : linear_operands(calls[c]));
  }
  set_shape(problem, conv != nullptr);
  if (problem.n_samples < 1) refuse("at least one sample is needed");
  return problem;
}

}  // namespace lswag
