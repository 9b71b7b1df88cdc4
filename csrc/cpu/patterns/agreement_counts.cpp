// agreement_counts: on how many neurons two samples have the same sign, for all pairs of samples.

#include <algorithm>
#include <cstdint>

#include "common/patterns.h"
#include "cpu/isa/kernel_table.h"
#include "kernels.h"

namespace lswag {
namespace {

// Words of a row handled at a time: the pieces of 64 rows (256 KiB) stay in L2 while all their pairs are formed.
constexpr int64_t kChunkWords = 512;
// Below this many pairs of words a second thread costs more than it saves.
constexpr int64_t kMinParallelPairs = int64_t{1} << 16;

}  // namespace

void agreement_counts(const uint64_t* words, int64_t n_samples, int64_t words_per_sample, int64_t n_neurons,
                      int64_t* out, int n_threads) {
  check_neurons(n_neurons, words_per_sample);
  const PatternOps& ops = active_kernels().pattern;
  const int64_t n_whole = n_neurons / kWordBits;
  const uint64_t tail_mask = (uint64_t{1} << n_neurons % kWordBits) - 1;  // bits past the last neuron do not count
  const auto agreement_but_whole_words = [&](const uint64_t* a, const uint64_t* b) {
    if (tail_mask == 0) return n_neurons;
    const uint64_t a_tail = a[n_whole] & tail_mask;
    const uint64_t b_tail = b[n_whole] & tail_mask;
    return n_neurons - ops.count_differing(&a_tail, &b_tail, 1);
  };
  if (n_samples * n_samples / 2 * n_whole < kMinParallelPairs) n_threads = 1;
#pragma omp parallel num_threads(n_threads) if (n_threads > 1)
  {
    // A static schedule gives a row to the same thread in every chunk: no two threads write one number.
#pragma omp for schedule(static, 1) nowait
    for (int64_t s = 0; s < n_samples; ++s) {
      for (int64_t r = s; r < n_samples; ++r) {
        out[s * n_samples + r] = agreement_but_whole_words(words + s * words_per_sample, words + r * words_per_sample);
      }
    }
    for (int64_t begin = 0; begin < n_whole; begin += kChunkWords) {
      const int64_t n = std::min(kChunkWords, n_whole - begin);
#pragma omp for schedule(static, 1) nowait
      for (int64_t s = 0; s < n_samples; ++s) {
        const uint64_t* row = words + s * words_per_sample + begin;
        for (int64_t r = s + 1; r < n_samples; ++r) {
          out[s * n_samples + r] -= ops.count_differing(row, words + r * words_per_sample + begin, n);
        }
      }
    }
  }
  for (int64_t s = 0; s < n_samples; ++s) {
    for (int64_t r = 0; r < s; ++r) out[s * n_samples + r] = out[r * n_samples + s];
  }
}

}  // namespace lswag
