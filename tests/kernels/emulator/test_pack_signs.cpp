// pack_signs of csrc/cuda in the emulator, against the CPU kernel and a comparison bit by bit.
#include <cmath>
#include <vector>

#include "kernels.h"
#include "testing.h"

namespace {

using lswag::DType;
using lswag::Layout;
using testing::Tensor;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

std::vector<uint64_t> pack_plainly(const Tensor& y, int64_t n_samples, Layout layout) {
  const int64_t n_neurons = lswag::n_elements(y.view()) / y.view().size[0];
  const bool by_neuron = layout == Layout::neuron_major;
  const int64_t n_words = ceil_div(by_neuron ? n_samples : n_neurons, 64);
  std::vector<uint64_t> out((by_neuron ? n_neurons : n_samples) * n_words, 0);
  int64_t element = 0;
  y.for_each([&](const std::vector<int64_t>& index) {
    const int64_t s = index[0];
    const int64_t v = element++ % n_neurons;
    if (s >= n_samples || !(y.get(index) > 0)) return;
    const int64_t row = by_neuron ? v : s;
    const int64_t bit = by_neuron ? s : v;
    out[row * n_words + bit / 64] |= uint64_t{1} << bit % 64;
  });
  return out;
}

bool agrees(const Tensor& y, int64_t n_samples, Layout layout) {
  const std::vector<uint64_t> expected = pack_plainly(y, n_samples, layout);
  std::vector<uint64_t> found(expected.size(), 0xdeadbeef), of_cpu(found);
  const simt::Allocation out(found);
  lswag::cuda::pack_signs(y.view(), n_samples, layout, found.data(), {});
  lswag::pack_signs(y.view(), n_samples, layout, of_cpu.data(), 1);
  return found == expected && of_cpu == expected;
}

Tensor activation(DType dtype, std::vector<int64_t> size, std::vector<int> order = {}, int64_t gap = 0) {
  testing::Random random(size.back());
  Tensor y(dtype, std::move(size), std::move(order), gap);
  y.fill_normal(random);
  int64_t k = 0;
  const double special[] = {0.0, -0.0, NAN, INFINITY, -INFINITY};
  y.for_each([&](const std::vector<int64_t>& index) {
    if (++k % 7 == 0) y.set(index, special[k / 7 % 5]);
  });
  return y;
}

void check(const Tensor& y, int64_t n_samples, const std::string& what) {
  testing::check(agrees(y, n_samples, Layout::neuron_major), what + ", neuron-major");
  testing::check(agrees(y, n_samples, Layout::sample_major), what + ", sample-major");
}

}  // namespace

int main() {
  testing::for_each_seed([](uint64_t) {
    for (DType dtype : testing::kDTypes) {
      for (int64_t n_neurons : {1, 31, 63, 64, 65, 300, 600}) {
        const Tensor y = activation(dtype, {70, n_neurons});
        for (int64_t n_samples : {1, 20, 63, 64, 65, 70}) {
          check(y, n_samples,
                testing::name(dtype) + " " + std::to_string(n_samples) + " x " + std::to_string(n_neurons));
        }
      }
      const std::vector<std::vector<int>> orders = {
          {0, 1, 2, 3}, {0, 2, 3, 1}, {1, 2, 3, 0}, {2, 1, 0, 3}, {3, 2, 1, 0}};
      for (const std::vector<int>& order : orders) {
        for (int64_t gap : {0, 1}) {
          check(activation(dtype, {9, 5, 6, 11}, order, gap), 7, testing::name(dtype) + " strided");
        }
      }
    }
    check(activation(DType::f32, {5, 3, 0}), 5, "no neurons");
    check(activation(DType::f32, {9}), 9, "one neuron");
  });
  testing::check_mutants("pack_signs", {[] {
                           const Tensor y = activation(DType::f32, {66, 5, 26}, {0, 2, 1});
                           return agrees(y, 66, Layout::neuron_major) && agrees(y, 66, Layout::sample_major);
                         }});
  return testing::finish("pack_signs");
}
