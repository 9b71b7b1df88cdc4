// The Python module _core: the functions of kernels.h as they are. Checks and typed results are in lswag_fast/kernels/.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels.h"

namespace py = pybind11;

namespace {

using lswag::View;

using Unlocked = py::call_guard<py::gil_scoped_release>;

View make_view(uintptr_t data, lswag::DType dtype, const std::vector<int64_t>& size,
               const std::vector<int64_t>& stride) {
  if (size.size() > lswag::kMaxDims || size.size() != stride.size()) {
    throw std::invalid_argument("a view has at most 8 dimensions, and a stride for each");
  }
  View view;
  view.data = reinterpret_cast<const void*>(data);
  view.dtype = dtype;
  view.ndim = static_cast<int>(size.size());
  std::copy(size.begin(), size.end(), view.size);
  std::copy(stride.begin(), stride.end(), view.stride);
  return view;
}

void pack_signs(const View& y, int64_t n_samples, lswag::Layout layout, uintptr_t out, int n_threads) {
  lswag::pack_signs(y, n_samples, layout, reinterpret_cast<uint64_t*>(out), n_threads);
}

int64_t count_distinct(const std::vector<uintptr_t>& words, const std::vector<int64_t>& n_rows, int64_t words_per_row,
                       int64_t n_bits) {
  std::vector<const uint64_t*> pointers;
  for (uintptr_t p : words) pointers.push_back(reinterpret_cast<const uint64_t*>(p));
  return lswag::count_distinct(pointers.data(), n_rows.data(), static_cast<int>(pointers.size()), words_per_row,
                               n_bits);
}

void agreement_counts(uintptr_t words, int64_t n_samples, int64_t words_per_sample, int64_t n_neurons, uintptr_t out,
                      int n_threads) {
  lswag::agreement_counts(reinterpret_cast<const uint64_t*>(words), n_samples, words_per_sample, n_neurons,
                          reinterpret_cast<int64_t*>(out), n_threads);
}

bool float_product(const View& a, const View& b, std::optional<View> bias, uintptr_t out, int n_threads) {
  return lswag::float_product(a, b, bias ? &*bias : nullptr, reinterpret_cast<float*>(out), n_threads);
}

lswag::ConvGeometry make_geometry(const std::vector<int64_t>& kernel, const std::vector<int64_t>& stride,
                                  const std::vector<int64_t>& padding, const std::vector<int64_t>& dilation,
                                  int64_t groups) {
  lswag::ConvGeometry geometry;
  const size_t n_dims = kernel.size();
  if (n_dims < 1 || n_dims > 2 || stride.size() != n_dims || padding.size() != n_dims || dilation.size() != n_dims) {
    throw std::invalid_argument("a convolution has 1 or 2 spatial dimensions, the same number in all its arguments");
  }
  geometry.n_dims = static_cast<int>(n_dims);
  std::copy(kernel.begin(), kernel.end(), geometry.kernel);
  std::copy(stride.begin(), stride.end(), geometry.stride);
  std::copy(padding.begin(), padding.end(), geometry.padding);
  std::copy(dilation.begin(), dilation.end(), geometry.dilation);
  geometry.groups = groups;
  return geometry;
}

lswag::MomentsRef make_moments(int64_t count, int exponent, double squares, uintptr_t mean, uintptr_t m2,
                               uintptr_t signed_mean) {
  return {count,
          exponent,
          squares,
          reinterpret_cast<void*>(mean),
          reinterpret_cast<void*>(m2),
          reinterpret_cast<void*>(signed_mean)};
}

// The arguments of gradient_stats, which own what the plain structures point to.
class GradientJob {
 public:
  GradientJob(const std::vector<std::pair<View, View>>& pairs, std::optional<lswag::ConvGeometry> conv, bool absolute,
              std::optional<std::vector<int64_t>> row_blocks, lswag::MomentsRef* moments, bool batch_gradient,
              std::optional<View> weight, double xi)
      : conv_(std::move(conv)), row_blocks_(std::move(row_blocks)), weight_(std::move(weight)) {
    for (const auto& [x, grad_out] : pairs) calls_.push_back({x, grad_out});
    options_.absolute = absolute;
    options_.moments = moments;
    options_.batch_gradient = batch_gradient;
    options_.xi = xi;
  }

  const lswag::GradientCall* calls() const { return calls_.data(); }
  int n_calls() const { return static_cast<int>(calls_.size()); }

  lswag::GradientOptions options(int n_threads) const {
    static const int64_t none = 0;
    lswag::GradientOptions options = options_;
    options.conv = conv_ ? &*conv_ : nullptr;
    // A pointer of its own: that of an empty vector may be null, which stands for all blocks.
    if (row_blocks_) options.row_blocks = row_blocks_->empty() ? &none : row_blocks_->data();
    options.n_row_blocks = row_blocks_ ? static_cast<int64_t>(row_blocks_->size()) : 0;
    options.weight = weight_ ? &*weight_ : nullptr;
    options.n_threads = n_threads;
    return options;
  }

 private:
  std::vector<lswag::GradientCall> calls_;
  std::optional<lswag::ConvGeometry> conv_;
  std::optional<std::vector<int64_t>> row_blocks_;
  std::optional<View> weight_;
  lswag::GradientOptions options_;
};

// The number of weights, and the statistics in their order.
std::pair<int64_t, std::vector<double>> gradient_stats(const GradientJob& job, int n_threads) {
  const lswag::GradientStats stats = lswag::gradient_stats(job.calls(), job.n_calls(), job.options(n_threads));
  return {stats.n_weights, {std::begin(stats.values), std::end(stats.values)}};
}

// (name, how parts combine, what it needs) of every statistic.
std::vector<std::tuple<std::string, std::string, std::vector<std::string>>> statistics() {
  using namespace lswag::statistic;
  static const char* const combinations[] = {"count", "sum", "max"};
  const std::pair<Need, const char*> needs[] = {
      {batch_gradient, "batch_gradient"}, {weight, "weight"}, {magnitudes, "magnitudes"}};
  std::vector<std::tuple<std::string, std::string, std::vector<std::string>>> found;
  for (int k = 0; k < kCount; ++k) {
    std::vector<std::string> needed;
    for (const auto& [need, name] : needs) {
      if (info(k).needs & need) needed.push_back(name);
    }
    found.emplace_back(info(k).name, combinations[static_cast<int>(info(k).combination)], needed);
  }
  return found;
}

namespace device {

using lswag::cuda::Stream;

void pack_signs(const View& y, int64_t n_samples, lswag::Layout layout, uintptr_t out, const Stream& stream) {
  lswag::cuda::pack_signs(y, n_samples, layout, reinterpret_cast<uint64_t*>(out), stream);
}

int64_t count_distinct_bytes(const std::vector<int64_t>& n_rows) {
  return lswag::cuda::count_distinct_bytes(n_rows.data(), static_cast<int>(n_rows.size()));
}

void count_distinct(const std::vector<uintptr_t>& words, const std::vector<int64_t>& n_rows, int64_t words_per_row,
                    int64_t n_bits, uintptr_t workspace, uintptr_t out, const Stream& stream) {
  std::vector<const uint64_t*> pointers;
  for (uintptr_t p : words) pointers.push_back(reinterpret_cast<const uint64_t*>(p));
  lswag::cuda::count_distinct(pointers.data(), n_rows.data(), static_cast<int>(pointers.size()), words_per_row, n_bits,
                              reinterpret_cast<void*>(workspace), reinterpret_cast<int64_t*>(out), stream);
}

void agreement_counts(uintptr_t words, int64_t n_samples, int64_t words_per_sample, int64_t n_neurons, uintptr_t out,
                      const Stream& stream) {
  lswag::cuda::agreement_counts(reinterpret_cast<const uint64_t*>(words), n_samples, words_per_sample, n_neurons,
                                reinterpret_cast<int64_t*>(out), stream);
}

int64_t gradient_stats_bytes(const GradientJob& job) {
  return lswag::cuda::gradient_stats_bytes(job.calls(), job.n_calls(), job.options(1));
}

int64_t gradient_stats(const GradientJob& job, bool tf32, uintptr_t workspace, uintptr_t exponent, uintptr_t squares,
                       uintptr_t statistics, const Stream& stream) {
  const lswag::cuda::GradientMemory memory{reinterpret_cast<void*>(workspace), reinterpret_cast<int32_t*>(exponent),
                                           reinterpret_cast<double*>(squares), reinterpret_cast<double*>(statistics)};
  const auto precision = tf32 ? lswag::cuda::Precision::tf32 : lswag::cuda::Precision::exact;
  return lswag::cuda::gradient_stats(job.calls(), job.n_calls(), job.options(1), precision, memory, stream);
}

std::pair<std::string, std::string> build() {
  const lswag::cuda::Build build = lswag::cuda::build();
  return {build.toolkit, build.architectures};
}

Stream make_stream(int device, uintptr_t handle) { return {device, reinterpret_cast<void*>(handle)}; }

}  // namespace device

double fma_loop(const std::string& isa, int64_t n_iterations, int n_threads) {
  return lswag::fma_loop(isa, n_iterations, n_threads);
}

void bind_types(py::module_& m) {
  py::enum_<lswag::DType>(m, "DType")
      .value("f32", lswag::DType::f32)
      .value("f64", lswag::DType::f64)
      .value("bf16", lswag::DType::bf16)
      .value("f16", lswag::DType::f16);
  py::enum_<lswag::Layout>(m, "Layout")
      .value("neuron_major", lswag::Layout::neuron_major)
      .value("sample_major", lswag::Layout::sample_major);
  py::class_<View>(m, "View").def(py::init(&make_view), py::arg("data"), py::arg("dtype"), py::arg("size"),
                                  py::arg("stride"));
}

void bind_gradient(py::module_& m) {
  py::class_<lswag::ConvGeometry>(m, "ConvGeometry")
      .def(py::init(&make_geometry), py::arg("kernel"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
           py::arg("groups"));
  py::class_<lswag::MomentsRef>(m, "Moments")
      .def(py::init(&make_moments), py::arg("count"), py::arg("exponent"), py::arg("squares"), py::arg("mean"),
           py::arg("m2"), py::arg("signed_mean"))
      .def_readonly("count", &lswag::MomentsRef::count)
      .def_readonly("exponent", &lswag::MomentsRef::exponent)
      .def_readonly("squares", &lswag::MomentsRef::squares);
  // A job points to its moments.
  py::class_<GradientJob>(m, "GradientJob")
      .def(py::init<const std::vector<std::pair<View, View>>&, std::optional<lswag::ConvGeometry>, bool,
                    std::optional<std::vector<int64_t>>, lswag::MomentsRef*, bool, std::optional<View>, double>(),
           py::arg("calls"), py::arg("conv"), py::arg("absolute"), py::arg("row_blocks"), py::arg("moments"),
           py::arg("batch_gradient"), py::arg("weight"), py::arg("xi"), py::keep_alive<1, 6>());
  m.def("statistics", &statistics);
  m.def("gradient_stats", &gradient_stats, py::arg("job"), py::arg("n_threads"), Unlocked());
}

void bind_patterns(py::module_& m) {
  m.def("pack_signs", &pack_signs, py::arg("y"), py::arg("n_samples"), py::arg("layout"), py::arg("out"),
        py::arg("n_threads"), Unlocked());
  m.def("count_distinct", &count_distinct, py::arg("words"), py::arg("n_rows"), py::arg("words_per_row"),
        py::arg("n_bits"), Unlocked());
  m.def("agreement_counts", &agreement_counts, py::arg("words"), py::arg("n_samples"), py::arg("words_per_sample"),
        py::arg("n_neurons"), py::arg("out"), py::arg("n_threads"), Unlocked());
}

void bind_product(py::module_& m) {
  m.def("has_float_product", &lswag::has_float_product);
  m.def("float_product", &float_product, py::arg("a"), py::arg("b"), py::arg("bias"), py::arg("out"),
        py::arg("n_threads"), Unlocked());
}

void bind_cuda(py::module_& m) {
  py::class_<lswag::cuda::Stream>(m, "Stream")
      .def(py::init(&device::make_stream), py::arg("device"), py::arg("handle"));
  m.def("cuda_build", &device::build);
  m.def("cuda_driver_version", &lswag::cuda::driver_version);
  m.def("cuda_pack_signs", &device::pack_signs, py::arg("y"), py::arg("n_samples"), py::arg("layout"), py::arg("out"),
        py::arg("stream"), Unlocked());
  m.def("cuda_count_distinct_bytes", &device::count_distinct_bytes, py::arg("n_rows"));
  m.def("cuda_count_distinct", &device::count_distinct, py::arg("words"), py::arg("n_rows"), py::arg("words_per_row"),
        py::arg("n_bits"), py::arg("workspace"), py::arg("out"), py::arg("stream"), Unlocked());
  m.def("cuda_agreement_counts", &device::agreement_counts, py::arg("words"), py::arg("n_samples"),
        py::arg("words_per_sample"), py::arg("n_neurons"), py::arg("out"), py::arg("stream"), Unlocked());
  m.def("cuda_gradient_stats_bytes", &device::gradient_stats_bytes, py::arg("job"));
  m.def("cuda_gradient_stats", &device::gradient_stats, py::arg("job"), py::arg("tf32"), py::arg("workspace"),
        py::arg("exponent"), py::arg("squares"), py::arg("statistics"), py::arg("stream"), Unlocked());
}

void bind_machine(py::module_& m) {
  m.attr("version") = LSWAG_VERSION;
  m.attr("compiler") = LSWAG_COMPILER;
  m.attr("build_type") = LSWAG_BUILD_TYPE;
  m.def("isa_compiled", &lswag::isa_compiled);
  m.def("isa_list", &lswag::isa_list);
  m.def("isa_active", &lswag::isa_active);
  m.def("has_bfloat16", &lswag::has_bfloat16);
  m.def("set_isa", &lswag::set_isa, py::arg("name"));
  m.def("fma_loop", &fma_loop, py::arg("isa"), py::arg("n_iterations"), py::arg("n_threads"), Unlocked());
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Native kernels of lswag_fast. Use them through lswag_fast.kernels.";
  py::register_exception<lswag::IsaError>(m, "IsaError", PyExc_RuntimeError);
  py::register_exception<lswag::CudaError>(m, "CudaError", PyExc_RuntimeError);
  bind_types(m);
  bind_gradient(m);
  bind_patterns(m);
  bind_product(m);
  bind_machine(m);
  bind_cuda(m);
}
