// pack_signs: one read of the activation in the order of its memory; no transposed copy.
//
// A block of neurons is swept sample by sample, each a contiguous run, into accumulators of one bit per sample, which
// are stored as words. Sample-major words are packed directly where a sample lies in one piece; elsewhere they are the
// neuron-major ones with 64 x 64 tiles of bits transposed.

#include <algorithm>
#include <cstdint>
#include <memory>

#include "common/patterns.h"
#include "cpu/isa/kernel_table.h"
#include "cpu/patterns/neuron_walk.h"
#include "kernels.h"

namespace lswag {
namespace {

// Bytes of one sample's run in a block. Long runs keep the hardware prefetcher going (4 KiB runs cost a third of the
// speed); the accumulators, as many bytes, still lie in L2.
constexpr int64_t kRunBytes = 32768;
// Below this many elements a second thread costs more than it saves.
constexpr int64_t kMinParallelElements = int64_t{1} << 16;
// The same for rows packed directly, which take a fraction of the time.
constexpr int64_t kMinParallelRowElements = int64_t{1} << 18;
// Words of a row that are one task.
constexpr int64_t kPieceWords = 128;

struct Packing {
  NeuronWalk walk;
  int64_t sample_stride;
  int64_t n_samples;
  int64_t n_words;  // per neuron
  uint64_t* out;    // (V, n_words)
};

template <class Bits>
struct Signs {
  const Bits* y;
  Bits infinity;
  const SignOps<Bits>& ops;
};

const SignOps<uint16_t>& ops_of(const PatternOps& ops, uint16_t) { return ops.signs16; }
const SignOps<uint32_t>& ops_of(const PatternOps& ops, uint32_t) { return ops.signs32; }
const SignOps<uint64_t>& ops_of(const PatternOps& ops, uint64_t) { return ops.signs64; }

template <class Visit>
void with_signs(const View& y, Visit visit) {
  const PatternOps& ops = active_kernels().pattern;
  with_bits(y, [&](const auto* data, auto infinity) {
    visit(Signs<decltype(infinity)>{data, infinity, ops_of(ops, infinity)});
  });
}

template <class Bits>
class BlockPacker {
 public:
  static constexpr int64_t kMaxNeurons = kRunBytes / sizeof(Bits);

  BlockPacker(const Packing& packing, const Signs<Bits>& signs)
      : packing_(packing), y_(signs.y), infinity_(signs.infinity), accumulate_(signs.ops.accumulate) {}

  // Packs neurons [begin, begin + n) of the memory order, n <= kMaxNeurons.
  void pack(int64_t begin, int64_t n) {
    for (int64_t sample = 0; sample < packing_.n_samples; sample += kGroupSamples) {
      collect(begin, n, sample, static_cast<int>(std::min(kGroupSamples, packing_.n_samples - sample)));
      store(begin, n, sample);
    }
  }

 private:
  static constexpr int64_t kGroupSamples = 8 * sizeof(Bits);  // as many as an accumulator has bits

  void collect(int64_t begin, int64_t n, int64_t sample, int n_samples) {
    std::fill(acc_, acc_ + n, Bits{0});
    const Bits* origin = y_ + sample * packing_.sample_stride;
    const int64_t stride = packing_.walk.memory.run_stride();
    packing_.walk.memory.for_each_run(begin, begin + n, [&](int64_t first, int64_t offset, int64_t run) {
      Bits* acc = acc_ + (first - begin);
      if (stride == 1) {
        accumulate_(origin + offset, packing_.sample_stride, n_samples, 0, infinity_, acc, run);
        return;
      }
      for (int s = 0; s < n_samples; ++s) {
        gather(origin + s * packing_.sample_stride + offset, stride, run);
        accumulate_(gathered_, 0, 1, s, infinity_, acc, run);
      }
    });
  }

  void gather(const Bits* x, int64_t stride, int64_t n) {
    for (int64_t v = 0; v < n; ++v) gathered_[v] = x[v * stride];
  }

  void store(int64_t begin, int64_t n, int64_t sample) const {
    const int64_t shift = sample % kWordBits;
    const int64_t step = packing_.walk.logical.run_stride() * packing_.n_words;
    packing_.walk.logical.for_each_run(begin, begin + n, [&](int64_t first, int64_t neuron, int64_t run) {
      uint64_t* target = packing_.out + neuron * packing_.n_words + sample / kWordBits;
      const Bits* source = acc_ + (first - begin);
      if (shift == 0) {
        for (int64_t v = 0; v < run; ++v) target[v * step] = source[v];
      } else {
        for (int64_t v = 0; v < run; ++v) target[v * step] |= static_cast<uint64_t>(source[v]) << shift;
      }
    });
  }

  const Packing& packing_;
  const Bits* y_;
  Bits infinity_;
  decltype(SignOps<Bits>::accumulate) accumulate_;
  alignas(64) Bits acc_[kMaxNeurons];
  alignas(64) Bits gathered_[kMaxNeurons];  // a run that is not contiguous, one sample of it
};

template <class Bits>
void pack_blocks(const Packing& packing, const Signs<Bits>& signs, int n_threads) {
  const int64_t n_neurons = packing.walk.n_neurons;
  if (n_neurons == 0) return;
  if (n_neurons * packing.n_samples < kMinParallelElements) n_threads = 1;
  const int64_t n_blocks = ceil_div(n_neurons, BlockPacker<Bits>::kMaxNeurons * n_threads) * n_threads;
  const int64_t block = ceil_div(n_neurons, n_blocks);
#pragma omp parallel num_threads(n_threads) if (n_threads > 1)
  {
    BlockPacker<Bits> packer(packing, signs);
#pragma omp for schedule(static)
    for (int64_t begin = 0; begin < n_neurons; begin += block) packer.pack(begin, std::min(block, n_neurons - begin));
  }
}

void pack_neuron_major(const View& y, const Packing& packing, int n_threads) {
  with_signs(y, [&](const auto& signs) { pack_blocks(packing, signs, n_threads); });
}

// out (S, ceil(V/64)) of samples that are contiguous each.
template <class Bits>
void pack_rows(const Packing& packing, const Signs<Bits>& signs, int n_threads) {
  const int64_t n_neurons = packing.walk.n_neurons;
  const int64_t row_words = ceil_div(n_neurons, kWordBits);
  const bool parallel = n_threads > 1 && n_neurons * packing.n_samples >= kMinParallelRowElements;
#pragma omp parallel for collapse(2) num_threads(n_threads) schedule(static) if (parallel)
  for (int64_t sample = 0; sample < packing.n_samples; ++sample) {
    for (int64_t word = 0; word < row_words; word += kPieceWords) {
      const int64_t first = word * kWordBits;
      const int64_t n = std::min(kPieceWords * kWordBits, n_neurons - first);
      signs.ops.pack_row(signs.y + sample * packing.sample_stride + first, signs.infinity,
                         packing.out + sample * row_words + word, n);
    }
  }
}

// Bit j of a[i] becomes bit i of a[j]: exchanges quadrants of 32 x 32 bits, then of 16 x 16, down to single bits.
void transpose_bits(uint64_t* a) {
  uint64_t low = 0x00000000FFFFFFFFu;
  for (int half = 32; half > 0; half /= 2, low ^= low << half) {
    for (int base = 0; base < kWordBits; base += 2 * half) {
      for (int k = base; k < base + half; ++k) {
        const uint64_t change = ((a[k] >> half) ^ a[k + half]) & low;
        a[k] ^= change << half;
        a[k + half] ^= change;
      }
    }
  }
}

// Words of 64 samples x up to kTiles * 64 neurons: tiles done together, so that whole cache lines of a row are written.
constexpr int64_t kTiles = 8;

// words (V, W) -> out (S, ceil(V/64)), both for the word columns [column, column + n_tiles) of out.
void transpose_tiles(const uint64_t* words, int64_t n_neurons, int64_t n_samples, int64_t column, int64_t n_tiles,
                     uint64_t* out) {
  const int64_t n_words = ceil_div(n_samples, kWordBits);
  const int64_t row_words = ceil_div(n_neurons, kWordBits);
  alignas(64) uint64_t tiles[kTiles][kWordBits];
  for (int64_t word = 0; word < n_words; ++word) {
    for (int64_t tile = 0; tile < n_tiles; ++tile) {
      const int64_t first = (column + tile) * kWordBits;
      const int64_t n = std::min(kWordBits, n_neurons - first);
      for (int64_t v = 0; v < n; ++v) tiles[tile][v] = words[(first + v) * n_words + word];
      std::fill(tiles[tile] + n, tiles[tile] + kWordBits, uint64_t{0});
      transpose_bits(tiles[tile]);
    }
    const int64_t first_sample = word * kWordBits;
    for (int64_t s = 0; s < std::min(kWordBits, n_samples - first_sample); ++s) {
      uint64_t* row = out + (first_sample + s) * row_words + column;
      for (int64_t tile = 0; tile < n_tiles; ++tile) row[tile] = tiles[tile][s];
    }
  }
}

void pack_transposed(const View& y, Packing packing, int n_threads) {
  uint64_t* out = packing.out;
  const int64_t n_neurons = packing.walk.n_neurons;
  const std::unique_ptr<uint64_t[]> words(new uint64_t[n_neurons * packing.n_words]);
  packing.out = words.get();
  pack_neuron_major(y, packing, n_threads);
  const int64_t row_words = ceil_div(n_neurons, kWordBits);
  const bool parallel = n_threads > 1 && n_neurons * packing.n_samples >= kMinParallelElements;
#pragma omp parallel for num_threads(n_threads) schedule(static) if (parallel)
  for (int64_t column = 0; column < row_words; column += kTiles) {
    transpose_tiles(words.get(), n_neurons, packing.n_samples, column, std::min(kTiles, row_words - column), out);
  }
}

void pack_sample_major(const View& y, const Packing& packing, int n_threads) {
  if (!packing.walk.is_contiguous()) return pack_transposed(y, packing, n_threads);
  with_signs(y, [&](const auto& signs) { pack_rows(packing, signs, n_threads); });
}

}  // namespace

void pack_signs(const View& y, int64_t n_samples, Layout layout, uint64_t* out, int n_threads) {
  check_pattern_samples(y, n_samples);
  const Packing packing{NeuronWalk(y), y.stride[0], n_samples, ceil_div(n_samples, kWordBits), out};
  if (layout == Layout::neuron_major) return pack_neuron_major(y, packing, n_threads);
  pack_sample_major(y, packing, n_threads);
}

}  // namespace lswag
