// float_product over the threads: all of b is packed once, a in blocks of rows that stay in the second-level cache.
#include <algorithm>
#include <atomic>
#include <vector>

#include "common/integers.h"
#include "cpu/buffer.h"
#include "cpu/isa/kernel_table.h"
#include "kernels.h"

namespace lswag {
namespace {

constexpr int64_t kBlockPanels = 8;
constexpr int64_t kBlockBytes = 9 * (int64_t{1} << 17);  // of a, where rows are long

constexpr int64_t kCachedElements = int64_t{1} << 20;  // of out

class Product {
 public:
  Product(const View& a, const View& b, const View* bias, float* out, const ProductOps& ops)
      : a_(a),
        b_(b),
        bias_(bias ? static_cast<const float*>(bias->data) : nullptr),
        out_(out),
        ops_(ops),
        n_rows_(a.size[0]),
        n_columns_(b.size[1]),
        depth_(a.size[1]),
        panel_bytes_(panel_bytes(depth_)) {}

  bool run(int n_threads);

 private:
  struct Panels {
    Buffer<unsigned char> planes;
    Buffer<float> exponents;
    void allocate(int64_t n, int64_t bytes) {
      planes.allocate(n * bytes);
      exponents.allocate(n * kProductPanel);
    }
  };

  int64_t block_panels(int n_threads) const;
  bool pack_b(int64_t panel);
  bool pack_a(int64_t panel, Panels& panels, int64_t place);
  void multiply(int64_t first_panel, int64_t n_panels, Panels& panels);

  const View& a_;
  const View& b_;
  const float* bias_;
  float* out_;
  const ProductOps& ops_;
  int64_t n_rows_;
  int64_t n_columns_;
  int64_t depth_;
  int64_t panel_bytes_;
  Panels packed_b_;
};

// As many panels as stay in the cache, in as many blocks for each thread as for any other.
int64_t Product::block_panels(int n_threads) const {
  const int64_t row_panels = ceil_div(n_rows_, kProductPanel);
  const int64_t most = std::clamp<int64_t>(kBlockBytes / panel_bytes_, 1, kBlockPanels);
  const int64_t n_blocks = ceil_div(ceil_div(row_panels, most), int64_t{n_threads}) * n_threads;
  return std::max<int64_t>(1, ceil_div(row_panels, n_blocks));
}

bool Product::pack_b(int64_t panel) {
  const int64_t first = panel * kProductPanel;
  const int n = static_cast<int>(std::min<int64_t>(kProductPanel, n_columns_ - first));
  const bool by_columns = b_.stride[1] == 1;
  const ProductPanel job{static_cast<const float*>(at(b_, first * b_.stride[1])),
                         by_columns ? b_.stride[0] : b_.stride[1],
                         n,
                         depth_,
                         packed_b_.planes.get() + panel * panel_bytes_,
                         packed_b_.exponents.get() + panel * kProductPanel};
  return by_columns ? ops_.pack_columns(job) : ops_.pack_transposed(job);
}

bool Product::pack_a(int64_t panel, Panels& panels, int64_t place) {
  const int64_t first = panel * kProductPanel;
  return ops_.pack_rows({static_cast<const float*>(at(a_, first * a_.stride[0])), a_.stride[0],
                         static_cast<int>(std::min<int64_t>(kProductPanel, n_rows_ - first)), depth_,
                         panels.planes.get() + place * panel_bytes_, panels.exponents.get() + place * kProductPanel});
}

void Product::multiply(int64_t first_panel, int64_t n_panels, Panels& panels) {
  const int64_t row = first_panel * kProductPanel;
  ops_.multiply({panels.planes.get(), packed_b_.planes.get(), panels.exponents.get(), packed_b_.exponents.get(), bias_,
                 panel_blocks(depth_), std::min(n_panels * kProductPanel, n_rows_ - row), n_columns_,
                 out_ + row * n_columns_, n_columns_, n_rows_ * n_columns_ > kCachedElements});
}

bool Product::run(int n_threads) {
  const int64_t row_panels = ceil_div(n_rows_, kProductPanel);
  const int64_t column_panels = ceil_div(n_columns_, kProductPanel);
  const int64_t panels_each = block_panels(std::max(1, n_threads));
  const int64_t n_blocks = ceil_div(row_panels, panels_each);
  n_threads = static_cast<int>(std::clamp<int64_t>(n_threads, 1, std::max<int64_t>(1, n_blocks)));
  packed_b_.allocate(column_panels, panel_bytes_);
  std::vector<Panels> blocks(n_threads);  // before the threads start, where running out of memory can be reported
  for (Panels& block : blocks) block.allocate(panels_each, panel_bytes_);
  std::atomic<bool> finite{true};
#pragma omp parallel num_threads(n_threads)
  {
    Panels& block = blocks[thread_number()];
    unsigned char config[kTileConfigBytes];
    ops_.begin(config);
#pragma omp for schedule(static)
    for (int64_t panel = 0; panel < column_panels; ++panel) {
      if (!pack_b(panel)) finite = false;
    }
#pragma omp for schedule(dynamic, 1)
    for (int64_t k = 0; k < n_blocks; ++k) {
      const int64_t first = k * panels_each;
      const int64_t n = std::min(panels_each, row_panels - first);
      for (int64_t place = 0; place < n; ++place) {
        if (!pack_a(first + place, block, place)) finite = false;
      }
      multiply(first, n, block);
    }
    ops_.end(config);
  }
  return finite;
}

void check(const View& a, const View& b, const View* bias) {
  bool fits = a.ndim == 2 && b.ndim == 2 && a.size[1] == b.size[0] && a.size[1] > 0;
  fits = fits && a.dtype == DType::f32 && b.dtype == DType::f32;
  fits = fits && (a.stride[1] == 1 || a.size[1] == 1) && (b.stride[0] == 1 || b.stride[1] == 1);
  if (bias) {
    fits = fits && bias->dtype == DType::f32 && bias->ndim == 1 && bias->size[0] == b.size[1] && bias->stride[0] == 1;
  }
  if (!fits) throw std::invalid_argument("float_product takes float32 a (M, K), b (K, N) and bias (N) in long rows");
}

}  // namespace

bool has_float_product() { return active_kernels().product != nullptr; }

bool float_product(const View& a, const View& b, const View* bias, float* out, int n_threads) {
  const ProductOps* ops = active_kernels().product;
  if (!ops) throw IsaError("instruction set '" + isa_active() + "' has no float_product");
  check(a, b, bias);
  return Product(a, b, bias, out, *ops).run(n_threads);
}

}  // namespace lswag
