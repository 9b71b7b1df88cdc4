// What one instruction set offers: a table of pointers to its inner loops. Plain data only, since every unit sees it:
// a shared inline function could end up in the binary in the copy of the widest unit, and crash elsewhere.
#pragma once

#include <cstdint>

#include "cpu/gradient/ops.h"
#include "cpu/patterns/ops.h"
#include "cpu/product/ops.h"

namespace lswag {

struct KernelTable {
  const char* name;
  GradientOps<float> gradient_f32;
  GradientOps<double> gradient_f64;
  const GradientOps<float>* gradient_bf16;    // null: bfloat16 is multiplied as float
  const GradientOps<float>* gradient_pieces;  // of float, for panels; null: float is multiplied as it is
  PatternOps pattern;
  const ProductOps* product;                              // null: none
  double (*fma_loop)(int64_t n_iterations, float* sink);  // returns the operations done
};

namespace baseline {
extern const KernelTable table;
}
namespace avx2 {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}
namespace avx512_bf16 {
extern const KernelTable table;
}
namespace amx {
extern const KernelTable table;
}
namespace neon {
extern const KernelTable table;
}

}  // namespace lswag
