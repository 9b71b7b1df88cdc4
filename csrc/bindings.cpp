// The Python module _core: the functions of kernels.h as they are. Checks and typed results are in kernels.py.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
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

void hamming(uintptr_t words, int64_t n_samples, int64_t words_per_sample, int64_t n_neurons, uintptr_t out,
             int n_threads) {
  lswag::hamming(reinterpret_cast<const uint64_t*>(words), n_samples, words_per_sample, n_neurons,
                 reinterpret_cast<int64_t*>(out), n_threads);
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

lswag::MomentsRef make_moments(int64_t count, int exponent, uintptr_t mean, uintptr_t m2, uintptr_t signed_mean) {
  return {count, exponent, reinterpret_cast<void*>(mean), reinterpret_cast<void*>(m2),
          reinterpret_cast<void*>(signed_mean)};
}

lswag::GradientStats gradient_stats(const std::vector<std::pair<View, View>>& pairs,
                                    const std::optional<lswag::ConvGeometry>& conv, bool absolute,
                                    const std::optional<std::vector<int64_t>>& row_blocks, lswag::MomentsRef* moments,
                                    bool totals, const std::optional<View>& weight, double xi, int n_threads) {
  std::vector<lswag::GradientCall> calls;
  for (const auto& [x, grad_out] : pairs) calls.push_back({x, grad_out});
  lswag::GradientOptions options;
  options.conv = conv ? &*conv : nullptr;
  options.absolute = absolute;
  // A pointer of its own: that of an empty vector may be null, which stands for all blocks.
  const int64_t none = 0;
  if (row_blocks) {
    options.row_blocks = row_blocks->empty() ? &none : row_blocks->data();
    options.n_row_blocks = static_cast<int64_t>(row_blocks->size());
  }
  options.moments = moments;
  options.totals = totals;
  options.weight = weight ? &*weight : nullptr;
  options.xi = xi;
  options.n_threads = n_threads;
  return lswag::gradient_stats(calls.data(), static_cast<int>(calls.size()), options);
}

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
      .def(py::init(&make_moments), py::arg("count"), py::arg("exponent"), py::arg("mean"), py::arg("m2"),
           py::arg("signed_mean"))
      .def_readonly("count", &lswag::MomentsRef::count)
      .def_readonly("exponent", &lswag::MomentsRef::exponent);
  using Stats = lswag::GradientStats;
  py::class_<Stats>(m, "GradientStats")
      .def_readonly("n_weights", &Stats::n_weights)
      .def_readonly("n_zero_variance", &Stats::n_zero_variance)
      .def_readonly("n_nonfinite", &Stats::n_nonfinite)
      .def_readonly("sum_inv_sigma", &Stats::sum_inv_sigma)
      .def_readonly("sum_mu_over_sigma", &Stats::sum_mu_over_sigma)
      .def_readonly("sum_gsnr", &Stats::sum_gsnr)
      .def_readonly("sum_mean_abs_over_sigma", &Stats::sum_mean_abs_over_sigma)
      .def_readonly("sum_squared_total", &Stats::sum_squared_total)
      .def_readonly("sum_weight_gradient", &Stats::sum_weight_gradient)
      .def_readonly("sum_abs_weight_gradient", &Stats::sum_abs_weight_gradient);
  m.def("gradient_stats", &gradient_stats, py::arg("calls"), py::arg("conv"), py::arg("absolute"),
        py::arg("row_blocks"), py::arg("moments"), py::arg("totals"), py::arg("weight"), py::arg("xi"),
        py::arg("n_threads"), Unlocked());
}

void bind_patterns(py::module_& m) {
  m.def("pack_signs", &pack_signs, py::arg("y"), py::arg("n_samples"), py::arg("layout"), py::arg("out"),
        py::arg("n_threads"), Unlocked());
  m.def("count_distinct", &count_distinct, py::arg("words"), py::arg("n_rows"), py::arg("words_per_row"),
        py::arg("n_bits"), Unlocked());
  m.def("hamming", &hamming, py::arg("words"), py::arg("n_samples"), py::arg("words_per_sample"), py::arg("n_neurons"),
        py::arg("out"), py::arg("n_threads"), Unlocked());
}

void bind_machine(py::module_& m) {
  m.attr("version") = LSWAG_VERSION;
  m.attr("compiler") = LSWAG_COMPILER;
  m.attr("build_type") = LSWAG_BUILD_TYPE;
  m.def("isa_compiled", &lswag::isa_compiled);
  m.def("isa_list", &lswag::isa_list);
  m.def("isa_active", &lswag::isa_active);
  m.def("set_isa", &lswag::set_isa, py::arg("name"));
  m.def("fma_loop", &fma_loop, py::arg("isa"), py::arg("n_iterations"), py::arg("n_threads"), Unlocked());
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Native kernels of lswag_fast. Use them through lswag_fast.kernels.";
  py::register_exception<lswag::IsaError>(m, "IsaError", PyExc_RuntimeError);
  bind_types(m);
  bind_gradient(m);
  bind_patterns(m);
  bind_machine(m);
}
