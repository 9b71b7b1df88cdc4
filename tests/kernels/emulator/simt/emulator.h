// What csrc/cuda/simt/simt.h maps to without nvcc: the words in which the kernels are written, executed and checked on
// the host.
#pragma once

#include <cstring>

#include "simt/async.h"
#include "simt/machine.h"
#include "simt/memory.h"
#include "simt/warp.h"

#define SIMT_DEVICE inline
#define SIMT_HOST_DEVICE inline
#define SIMT_UNROLL
#define SIMT_UNROLL_4
#define SIMT_SHARED(type, name, n) const simt::Shared<type> name((n), simt::Site{__FILE__, __LINE__})

namespace simt {

using Stream = void*;

inline int thread_index() { return Machine::instance().thread(); }
inline int lane_index() { return thread_index() % kWarp; }
inline int warp_index() { return thread_index() / kWarp; }
inline Dim block_index() { return Machine::instance().block(); }

inline void sync_threads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  Machine::instance().barrier(Site{file, line});
}

// N neighbours at once, aligned to their size.
template <int N, class T>
void load_vector(const Shared<T>& memory, Index index, T* out) {
  const int64_t first = position(index);
  if (first % N) Machine::instance().fault("a vector is not aligned", index.site);
  for (int k = 0; k < N; ++k) out[k] = memory.at(first + k, index.site);
}

template <class Kernel>
void launch(const Kernel& kernel, Dim grid, Stream) {
  Machine& machine = Machine::instance();
  ++machine.n_queued;
  if (!machine.settings.skips_kernels) machine.run(grid, Kernel::kThreads, [&kernel] { kernel(); });
}

inline void set_zero(void* memory, int64_t n_bytes, Stream) {
  ++Machine::instance().n_queued;
  std::memset(memory, 0, n_bytes);
}

// Makes a device the current one for as long as it lives.
struct DeviceScope {
  explicit DeviceScope(int) {}
};

}  // namespace simt
