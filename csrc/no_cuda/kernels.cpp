// The CUDA entry points of a build without CUDA.
#include "kernels.h"

namespace lswag {
namespace cuda {
namespace {

[[noreturn]] void refuse() { throw CudaError("the CUDA kernels are not part of this build"); }

}  // namespace

Build build() { return {}; }

int driver_version() { return 0; }

void pack_signs(const View&, int64_t, Layout, uint64_t*, Stream) { refuse(); }

int64_t count_distinct_bytes(const int64_t*, int) { refuse(); }

void count_distinct(const uint64_t* const*, const int64_t*, int, int64_t, int64_t, void*, int64_t*, Stream) {
  refuse();
}

void agreement_counts(const uint64_t*, int64_t, int64_t, int64_t, int64_t*, Stream) { refuse(); }

int64_t gradient_stats_bytes(const GradientCall*, int, const GradientOptions&) { refuse(); }

int64_t gradient_stats(const GradientCall*, int, const GradientOptions&, Precision, const GradientMemory&, Stream) {
  refuse();
}

}  // namespace cuda
}  // namespace lswag
