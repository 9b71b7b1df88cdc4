// gradient_stats of csrc/cuda for convolutions, in the emulator, against the CPU kernel and the definition.
#include "gradient_reference.h"

namespace {

using lswag::DType;
using testing::GradientProblem;
using testing::Tensor;

struct Case {
  const char* name;
  int64_t channels, outputs;
  std::vector<int64_t> size;
  int64_t kernel, stride, padding, dilation, groups;
};

const std::vector<Case> kCases = {{"same 3x3", 16, 16, {9, 11}, 3, 1, 1, 1, 1},
                                  {"first layer", 3, 20, {12, 13}, 3, 1, 1, 1, 1},
                                  {"strided 5x5", 5, 9, {9, 9}, 5, 2, 2, 1, 1},
                                  {"pointwise", 16, 17, {8, 8}, 1, 1, 0, 1, 1},
                                  {"pointwise, strided", 16, 16, {8, 8}, 1, 2, 0, 1, 1},
                                  {"pointwise, strided, odd", 12, 9, {10, 7}, 1, 3, 0, 1, 1},
                                  {"conv1d, pointwise, strided", 16, 12, {21}, 1, 2, 0, 1, 1},
                                  {"pointwise, grouped", 16, 24, {5, 5}, 1, 1, 0, 1, 2},
                                  {"patches", 3, 24, {16, 16}, 4, 4, 0, 1, 1},
                                  {"dilated", 8, 8, {12, 12}, 3, 1, 2, 2, 1},
                                  {"grouped", 8, 12, {9, 9}, 3, 1, 1, 1, 4},
                                  {"grouped, two tiles of rows in each group", 12, 140, {4, 4}, 3, 1, 1, 1, 2},
                                  {"depthwise", 20, 20, {9, 9}, 3, 1, 1, 1, 20},
                                  {"depthwise with a multiplier", 6, 18, {9, 9}, 3, 2, 1, 1, 6},
                                  {"no padding", 7, 13, {6, 5}, 3, 1, 0, 1, 1},
                                  {"one line", 5, 6, {1, 9}, 3, 1, 1, 1, 1},
                                  {"conv1d", 4, 17, {21}, 3, 1, 1, 1, 1},
                                  {"conv1d, dilated and strided", 4, 9, {30}, 3, 2, 0, 3, 1},
                                  {"conv1d, depthwise", 8, 8, {30}, 5, 1, 2, 1, 8}};

GradientProblem convolution(const Case& c, DType x_dtype, DType grad_dtype, std::vector<int> order = {},
                            int64_t gap = 0) {
  constexpr int64_t kSamples = 8;
  testing::Random random(c.channels * 100 + c.outputs);
  const int n = static_cast<int>(c.size.size());
  lswag::ConvGeometry conv;
  conv.n_dims = n;
  conv.groups = c.groups;
  std::vector<int64_t> x_size{kSamples, c.channels}, grad_size{kSamples, c.outputs};
  std::vector<int64_t> weight_size{c.outputs, c.channels / c.groups};
  for (int d = 0; d < n; ++d) {
    conv.kernel[d] = c.kernel;
    conv.stride[d] = c.stride;
    conv.padding[d] = c.padding;
    conv.dilation[d] = c.dilation;
    x_size.push_back(c.size[d]);
    grad_size.push_back((c.size[d] + 2 * c.padding - c.dilation * (c.kernel - 1) - 1) / c.stride + 1);
    weight_size.push_back(c.kernel);
  }
  // A line of height 1 keeps its height under a kernel of 3 padded by 1, so the sizes above hold for it, too.
  GradientProblem problem;
  problem.conv = conv;
  problem.calls.push_back({Tensor(x_dtype, x_size, order, gap), Tensor(grad_dtype, grad_size, order, gap)});
  problem.calls[0].x.fill_normal(random);
  problem.calls[0].grad_out.fill_normal(random);
  problem.weight.emplace(DType::f64, weight_size);
  problem.weight->fill_normal(random);
  return problem;
}

void test_geometries() {
  for (const Case& c : kCases) {
    for (bool absolute : {true, false}) {
      GradientProblem problem = convolution(c, DType::f32, DType::f32);
      problem.absolute = absolute;
      testing::check_gradient(problem, c.name);
    }
  }
}

void test_dtypes() {
  for (const char* name : {"same 3x3", "pointwise", "grouped", "depthwise", "conv1d"}) {
    for (const Case& c : kCases) {
      if (std::string(c.name) != name) continue;
      testing::check_gradient(convolution(c, DType::f64, DType::f64), c.name + std::string(", float64"));
      testing::check_gradient(convolution(c, DType::bf16, DType::bf16), c.name + std::string(", bfloat16"));
      testing::check_gradient(convolution(c, DType::f16, DType::f16), c.name + std::string(", float16"));
      testing::check_gradient(convolution(c, DType::f16, DType::f32), c.name + std::string(", float16 and float32"));
      GradientProblem tf32 = convolution(c, DType::f32, DType::f32);
      tf32.tf32 = true;
      testing::check_gradient(tf32, c.name + std::string(", TF32"));
    }
  }
}

void test_strides() {
  // Channels innermost, samples innermost, planes transposed; with gaps no stride is 1.
  const std::vector<std::vector<int>> orders = {{0, 2, 3, 1}, {1, 2, 3, 0}, {0, 1, 3, 2}};
  for (const Case& c : kCases) {
    if (c.size.size() != 2) continue;
    for (size_t k = 0; k < orders.size(); ++k) {
      testing::check_gradient(convolution(c, DType::f32, DType::f32, orders[k], static_cast<int64_t>(k) % 2),
                              c.name + std::string(", order ") + std::to_string(k));
    }
  }
}

void test_row_blocks() {
  for (const Case& c : kCases) {
    GradientProblem problem = convolution(c, DType::f32, DType::f32);
    const int64_t n_blocks = (c.outputs + lswag::kRowBlock - 1) / lswag::kRowBlock;
    problem.row_blocks = std::vector<int64_t>{n_blocks - 1};
    if (n_blocks > 2) problem.row_blocks->insert(problem.row_blocks->begin(), 0);
    testing::check_gradient(problem, c.name + std::string(", row blocks"));
  }
}

// More calls than one upload takes, and planes of different sizes.
void test_calls() {
  Case larger = kCases[0];
  larger.size = {11, 8};
  GradientProblem problem = convolution(kCases[0], DType::f32, DType::f32);
  for (int k = 0; k < 12; ++k) {
    GradientProblem other = convolution(k % 2 ? larger : kCases[0], DType::f32, DType::f32);
    problem.calls.push_back(std::move(other.calls[0]));
  }
  testing::check_gradient(problem, "thirteen calls");
}

}  // namespace

int main() {
  testing::for_each_seed([](uint64_t seed) {
    if (seed == 0) test_dtypes();
    if (seed == 0) test_strides();
    if (seed == 0) test_calls();
    if (seed == 1) test_row_blocks();
    test_geometries();
  });
  return testing::finish("gradient_stats of convolutions");
}
