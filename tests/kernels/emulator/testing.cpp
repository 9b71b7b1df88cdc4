#include "testing.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "common/element.h"

namespace testing {
namespace {

constexpr uint64_t kSeeds = 3;

int n_checks = 0;
int n_failed = 0;

uint32_t float_bits(double value) {
  const float narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof bits);
  return bits;
}

// The numbers of a 16-bit format are few: the nearest is found among all.
uint16_t nearest_half(double value) {
  static const std::vector<std::pair<double, uint16_t>> finite = [] {
    std::vector<std::pair<double, uint16_t>> numbers;
    for (uint32_t bits = 0; bits < 0x7c00; ++bits) numbers.emplace_back(lswag::half_value(bits), bits);
    return numbers;
  }();
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return 0x7e00;
  if (std::isinf(value)) return sign | 0x7c00;
  auto above = std::lower_bound(finite.begin(), finite.end(), std::make_pair(std::abs(value), uint16_t{0}));
  if (above == finite.end()) return sign | finite.back().second;
  if (above != finite.begin() && std::abs(value) - (above - 1)->first < above->first - std::abs(value)) --above;
  return sign | above->second;
}

void store(void* p, lswag::DType dtype, double value) {
  switch (dtype) {
    case lswag::DType::f32: {
      const uint32_t bits = float_bits(value);
      std::memcpy(p, &bits, sizeof bits);
      return;
    }
    case lswag::DType::f64:
      std::memcpy(p, &value, sizeof value);
      return;
    case lswag::DType::bf16: {
      const uint32_t bits = float_bits(value);
      const uint16_t rounded = static_cast<uint16_t>((std::isnan(value) ? bits | 0x400000 : bits) >> 16);
      std::memcpy(p, &rounded, sizeof rounded);
      return;
    }
    case lswag::DType::f16: {
      const uint16_t bits = nearest_half(value);
      std::memcpy(p, &bits, sizeof bits);
      return;
    }
  }
}

// The outcome of one mutant: whether some seed tells it from the kernel as it is.
bool is_caught(const Run& run, const simt::Mutant& mutant) {
  simt::Settings& settings = simt::Machine::instance().settings;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    settings = {seed, mutant, nullptr};
    bool right = false;
    try {
      right = run();
    } catch (const simt::Fault&) {
    }
    settings = {};
    if (!right) return true;
  }
  return false;
}

std::string describe(const simt::Mutant& mutant) {
  const char* what = mutant.kind == simt::Mutation::drop_barrier ? "barrier deleted"
                     : mutant.kind == simt::Mutation::drop_wait  ? "wait deleted"
                                                                 : "index shifted";
  return std::string(what) + " at " + mutant.site.text();
}

}  // namespace

const std::vector<lswag::DType> kDTypes = {lswag::DType::f32, lswag::DType::f64, lswag::DType::bf16, lswag::DType::f16};

std::string name(lswag::DType dtype) {
  static const char* const names[] = {"float32", "float64", "bfloat16", "float16"};
  return names[static_cast<int>(dtype)];
}

void check(bool holds, const std::string& what) {
  ++n_checks;
  if (holds) return;
  ++n_failed;
  std::printf("FAILED: %s\n", what.c_str());
}

int finish(const char* name) {
  std::printf("%s: %d checks, %d failed\n", name, n_checks, n_failed);
  return n_failed == 0 ? 0 : 1;
}

void for_each_seed(const std::function<void(uint64_t seed)>& test) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    simt::Machine::instance().settings.seed = seed;
    test(seed);
  }
  simt::Machine::instance().settings = {};
}

void check_mutants(const std::string& kernel, const std::vector<Run>& runs) {
  simt::Sites sites;
  for (const Run& run : runs) {
    simt::Machine::instance().settings.sites = &sites;
    check(run(), kernel + ", unchanged");
    simt::Machine::instance().settings = {};
  }
  std::string survivors;
  for (const auto& [kind, site] : sites) {
    const simt::Mutant mutant{kind, site};
    const bool caught = std::any_of(runs.begin(), runs.end(), [&](const Run& run) { return is_caught(run, mutant); });
    if (!caught) survivors += "\n  " + describe(mutant);
  }
  check(survivors.empty(), kernel + ": changes that nothing tells apart:" + survivors);
  std::printf("%s: %zu changes tried\n", kernel.c_str(), sites.size());
}

Tensor::Tensor(lswag::DType dtype, std::vector<int64_t> size, std::vector<int> axis_order, int64_t gap) {
  view_.dtype = dtype;
  view_.ndim = static_cast<int>(size.size());
  std::copy(size.begin(), size.end(), view_.size);
  if (axis_order.empty()) {
    axis_order.resize(size.size());
    std::iota(axis_order.begin(), axis_order.end(), 0);
  }
  int64_t n_elements = 1 + gap;
  for (auto axis = axis_order.rbegin(); axis != axis_order.rend(); ++axis) {
    view_.stride[*axis] = n_elements;
    n_elements = n_elements * std::max<int64_t>(1, size[*axis]) + gap;
  }
  const int64_t bytes = lswag::element_bytes(dtype);
  memory_.resize((n_elements * bytes + sizeof(Block) - 1) / sizeof(Block));
  allocation_.emplace(memory_.data(), n_elements * bytes);
  char* data = reinterpret_cast<char*>(memory_.data());
  for (int64_t k = 0; k < n_elements; ++k) store(data + k * bytes, dtype, NAN);
  view_.data = data;
}

int64_t Tensor::offset(const std::vector<int64_t>& index) const {
  int64_t offset = 0;
  for (size_t d = 0; d < index.size(); ++d) offset += index[d] * view_.stride[d];
  return offset;
}

double Tensor::get(const std::vector<int64_t>& index) const { return lswag::read_element(view_, offset(index)); }

void Tensor::set(const std::vector<int64_t>& index, double value) {
  store(const_cast<void*>(lswag::at(view_, offset(index))), view_.dtype, value);
}

void Tensor::fill_normal(Random& random, double scale) {
  std::normal_distribution<double> normal(0, scale);
  for_each([&](const std::vector<int64_t>& index) { set(index, normal(random)); });
}

void Tensor::for_each(const std::function<void(const std::vector<int64_t>&)>& visit) const {
  std::vector<int64_t> index(view_.ndim, 0);
  for (int64_t left = lswag::n_elements(view_); left > 0; --left) {
    visit(index);
    for (int d = view_.ndim - 1; d >= 0 && ++index[d] == view_.size[d]; --d) index[d] = 0;
  }
}

}  // namespace testing
