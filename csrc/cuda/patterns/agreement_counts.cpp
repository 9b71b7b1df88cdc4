// agreement_counts on the device: tiles of pairs of samples, each over a run of words; whole numbers, so atomics are
// exact.

#include "common/patterns.h"
#include "cuda/simt/simt.h"
#include "kernels.h"

namespace lswag {
namespace cuda {
namespace {

using simt::Word;

constexpr int kTile = 16;           // samples on each side of a tile of pairs
constexpr int kChunk = 32;          // words of a row in shared memory at a time
constexpr int kPitch = kChunk + 1;  // rows begin in different banks
constexpr int kRunWords = 1024;     // words of a row that one block counts

struct CountAgreements {
  static constexpr int kThreads = kTile * kTile;

  simt::Global<const Word> words;
  simt::Global<Word> out;
  int64_t n_samples;
  int64_t words_per_sample;
  int64_t n_neurons;

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(Word, left, kTile * kPitch);
    SIMT_SHARED(Word, right, kTile * kPitch);
    const simt::Dim block = simt::block_index();
    // The agreements are symmetric: a tile below the diagonal is the transpose of one above.
    if (block.y > block.x) return;
    const int64_t first_left = static_cast<int64_t>(block.y) * kTile;
    const int64_t first_right = static_cast<int64_t>(block.x) * kTile;
    const int64_t begin = static_cast<int64_t>(block.z) * kRunWords;
    const int64_t n_words = ceil_div(n_neurons, kWordBits);
    const int64_t end = n_words < begin + kRunWords ? n_words : begin + kRunWords;
    const int row = simt::thread_index() / kTile;
    const int column = simt::thread_index() % kTile;
    int64_t n_differing = 0;
    for (int64_t word = begin; word < end; word += kChunk) {
      load(left, first_left, word);
      load(right, first_right, word);
      simt::sync_threads();
      for (int k = 0; k < kChunk; ++k) {
        n_differing += simt::count_bits(left[row * kPitch + k] ^ right[column * kPitch + k]);
      }
      simt::sync_threads();
    }
    const int64_t s = first_left + row;
    const int64_t r = first_right + column;
    if (s >= n_samples || r >= n_samples) return;
    const int64_t n_bits = (end * kWordBits < n_neurons ? end * kWordBits : n_neurons) - begin * kWordBits;
    const Word n_agreeing = static_cast<Word>(n_bits - n_differing);
    simt::atomic_add(out, s * n_samples + r, n_agreeing);
    if (block.y != block.x) simt::atomic_add(out, r * n_samples + s, n_agreeing);
  }

  // Words [word, word + kChunk) of a tile's samples; zero past the last sample and the last neuron.
  SIMT_DEVICE void load(const simt::Shared<Word>& tile, int64_t first, int64_t word) const {
    for (int k = simt::thread_index(); k < kTile * kChunk; k += kThreads) {
      const int64_t sample = first + k / kChunk;
      const int64_t w = word + k % kChunk;
      const int64_t n_left = n_neurons - w * kWordBits;
      Word value = 0;
      if (sample < n_samples && n_left > 0) value = words[sample * words_per_sample + w];
      if (n_left > 0 && n_left < kWordBits) value &= (Word{1} << n_left) - 1;
      tile[k / kChunk * kPitch + k % kChunk] = value;
    }
  }
};

}  // namespace

void agreement_counts(const uint64_t* words, int64_t n_samples, int64_t words_per_sample, int64_t n_neurons,
                      int64_t* out, Stream stream) {
  check_neurons(n_neurons, words_per_sample);
  if (n_samples == 0) return;
  const simt::DeviceScope device(stream.device);
  const auto queue = static_cast<simt::Stream>(stream.handle);
  simt::set_zero(out, n_samples * n_samples * static_cast<int64_t>(sizeof(int64_t)), queue);
  if (n_neurons == 0) return;
  const int64_t n_tiles = ceil_div(n_samples, kTile);
  const int64_t n_runs = ceil_div(n_neurons, kRunWords * kWordBits);
  const CountAgreements kernel{{reinterpret_cast<const Word*>(words), n_samples * words_per_sample},
                               {reinterpret_cast<Word*>(out), n_samples * n_samples},
                               n_samples,
                               words_per_sample,
                               n_neurons};
  simt::launch(kernel, {static_cast<unsigned>(n_tiles), static_cast<unsigned>(n_tiles), static_cast<unsigned>(n_runs)},
               queue);
}

}  // namespace cuda
}  // namespace lswag
