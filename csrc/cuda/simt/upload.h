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

// The first of n words, as many as one launch takes.
inline Upload upload_of(const simt::Word* words, int64_t n, simt::Word* to) {
  Upload kernel;
  kernel.n_words = static_cast<int>(std::min<int64_t>(Upload::kThreads, n));
  kernel.to = {to, kernel.n_words};
  std::memcpy(kernel.words, words, kernel.n_words * sizeof(simt::Word));
  return kernel;
}

// The words behind those of `upload_of`.
inline void upload_rest(const simt::Word* words, int64_t n, simt::Word* to, simt::Stream stream) {
  for (int64_t first = Upload::kThreads; first < n; first += Upload::kThreads) {
    simt::launch(upload_of(words + first, n - first, to + first), {1, 1, 1}, stream);
  }
}

// n_bytes, a multiple of 8.
inline void upload(const void* data, int64_t n_bytes, void* to, simt::Stream stream) {
  const int64_t n = n_bytes / static_cast<int64_t>(sizeof(simt::Word));
  if (n == 0) return;
  const auto* words = static_cast<const simt::Word*>(data);
  auto* const begin = static_cast<simt::Word*>(to);
  simt::launch(upload_of(words, n, begin), {1, 1, 1}, stream);
  upload_rest(words, n, begin, stream);
}

}  // namespace cuda
}  // namespace lswag
