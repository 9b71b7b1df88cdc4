// Small tables from the host to the device, as kernel arguments: a copy from pageable memory may wait for the stream.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cuda/simt/simt.h"

namespace lswag {
namespace cuda {

struct Upload {
  static constexpr int kThreads = 256;

  simt::Global<simt::Word> to;
  int n_words;
  simt::Word words[kThreads];

  SIMT_DEVICE void operator()() const {
    const int k = simt::thread_index();
    if (k < n_words) to[k] = words[k];
  }
};

// n_bytes, a multiple of 8.
inline void upload(const void* data, int64_t n_bytes, void* to, simt::Stream stream) {
  constexpr int64_t kWordBytes = sizeof(simt::Word);
  for (int64_t first = 0; first < n_bytes / kWordBytes; first += Upload::kThreads) {
    Upload kernel;
    kernel.n_words = static_cast<int>(std::min<int64_t>(Upload::kThreads, n_bytes / kWordBytes - first));
    kernel.to = {static_cast<simt::Word*>(to) + first, kernel.n_words};
    std::memcpy(kernel.words, static_cast<const char*>(data) + first * kWordBytes, kernel.n_words * kWordBytes);
    simt::launch(kernel, {1, 1, 1}, stream);
  }
}

}  // namespace cuda
}  // namespace lswag
