// Sums over the threads of a block in a fixed order, so that every run gives the same bits.
#pragma once

#include "cuda/simt.h"

namespace lswag {
namespace cuda {

// values (kValues, kThreads) hold each thread's contributions; afterwards each row's first element is its sum.
template <int kValues, int kThreads>
SIMT_DEVICE void sum_over_threads(const simt::Shared<double>& values) {
  const int thread = simt::thread_index();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    simt::sync_threads();
    if (thread >= half) continue;
    for (int v = 0; v < kValues; ++v) {
      values[v * kThreads + thread] = values[v * kThreads + thread] + values[v * kThreads + thread + half];
    }
  }
  simt::sync_threads();
}

}  // namespace cuda
}  // namespace lswag
