// Combines values over the threads of a block in a fixed order, so that every run gives the same bits.
#pragma once

#include "cuda/simt/simt.h"

namespace lswag {
namespace cuda {

// values (kValues, kThreads) hold each thread's contributions; afterwards each row's first element is all of them
// together, by combine(row, a, b).
template <int kValues, int kThreads, class Combine>
SIMT_DEVICE void combine_threads(const simt::Shared<double>& values, Combine combine) {
  const int thread = simt::thread_index();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    simt::sync_threads();
    if (thread >= half) continue;
    SIMT_UNROLL for (int v = 0; v < kValues; ++v) {
      values[v * kThreads + thread] = combine(v, values[v * kThreads + thread], values[v * kThreads + thread + half]);
    }
  }
  simt::sync_threads();
}

}  // namespace cuda
}  // namespace lswag
