// agreement_counts of csrc/cuda in the emulator, against the CPU kernel and a comparison bit by bit.
#include <vector>

#include "kernels.h"
#include "testing.h"

namespace {

std::vector<uint64_t> random_words(int64_t n, uint64_t seed) {
  testing::Random random(seed);
  std::vector<uint64_t> words(n);
  for (uint64_t& word : words) word = random();
  return words;
}

int64_t count_agreements(const uint64_t* a, const uint64_t* b, int64_t n_neurons) {
  int64_t n = 0;
  for (int64_t v = 0; v < n_neurons; ++v) n += ((a[v / 64] ^ b[v / 64]) >> v % 64 & 1) == 0;
  return n;
}

bool agrees(int64_t n_samples, int64_t words_per_sample, int64_t n_neurons) {
  const std::vector<uint64_t> words = random_words(n_samples * words_per_sample, n_neurons);
  std::vector<int64_t> found(n_samples * n_samples, -1), of_cpu(found);
  const simt::Allocation in(words), out(found);
  lswag::cuda::agreement_counts(words.data(), n_samples, words_per_sample, n_neurons, found.data(), {});
  lswag::agreement_counts(words.data(), n_samples, words_per_sample, n_neurons, of_cpu.data(), 1);
  bool right = found == of_cpu;
  for (int64_t s = 0; s < n_samples; ++s) {
    for (int64_t r = 0; r < n_samples; ++r) {
      right = right && found[s * n_samples + r] ==
                           count_agreements(&words[s * words_per_sample], &words[r * words_per_sample], n_neurons);
    }
  }
  return right;
}

}  // namespace

int main() {
  testing::for_each_seed([](uint64_t) {
    for (int64_t n_samples : {1, 2, 15, 16, 17, 33}) {
      for (int64_t n_neurons : {0, 1, 63, 64, 65, 1000, 2048, 2049}) {
        testing::check(agrees(n_samples, n_neurons / 64 + 2, n_neurons),
                       std::to_string(n_samples) + " samples, " + std::to_string(n_neurons) + " neurons");
      }
    }
    testing::check(agrees(3, 2100, 2100 * 64 - 5), "several runs of words");
  });
  testing::check_mutants("agreement_counts", {[] { return agrees(18, 35, 35 * 64 - 7); }});
  return testing::finish("agreement_counts");
}
