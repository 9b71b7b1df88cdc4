// pack_signs on the device: every element is read once, neighbouring lanes read neighbouring addresses.
//
// Sample-major words hold neighbouring neurons, so a warp's ballot is half a word. Neuron-major words hold the samples
// of one neuron, so a thread collects the bits of its own word.

#include <stdexcept>

#include "common/patterns.h"
#include "cuda/patterns/neuron_order.h"
#include "cuda/simt/extent.h"
#include "cuda/simt/simt.h"
#include "kernels.h"

namespace lswag {
namespace cuda {
namespace {

using simt::Word;

constexpr int kBlock = 256;
constexpr int64_t kMaxBlocks = int64_t{1} << 30;  // along x

// The bits of a floating-point number > 0 lie in 1..infinity: NaNs and negative numbers above, and 0 - 1 wraps.
template <class Bits>
SIMT_DEVICE bool is_positive(Bits bits, Bits infinity) {
  return static_cast<Bits>(bits - 1) < infinity;
}

template <class Bits>
struct Signs {
  simt::Global<const Bits> y;
  simt::Global<Word> out;
  NeuronOrder order;
  int64_t sample_stride;
  int64_t n_samples;
  Bits infinity;

  SIMT_DEVICE bool positive(int64_t sample, int64_t offset) const {
    const Bits bits = y[sample * sample_stride + offset];
    return is_positive(bits, infinity);
  }
};

// Thread = neuron in the order of memory; block.y = word of 64 samples.
template <class Bits>
struct PackNeuronMajor {
  static constexpr int kThreads = kBlock;

  Signs<Bits> signs;
  int64_t n_words;  // of a neuron

  SIMT_DEVICE void operator()() const {
    const simt::Dim block = simt::block_index();
    const int64_t index = static_cast<int64_t>(block.x) * kThreads + simt::thread_index();
    if (index >= signs.order.n_neurons) return;
    const Neuron neuron = signs.order.at(index);
    const int64_t first = static_cast<int64_t>(block.y) * kWordBits;
    const int64_t n = signs.n_samples - first < kWordBits ? signs.n_samples - first : kWordBits;
    Word word = 0;
    for (int s = 0; s < n; ++s) word |= Word{signs.positive(first + s, neuron.offset)} << s;
    signs.out[neuron.number * n_words + block.y] = word;
  }
};

// Warp = one word of 64 neurons, in their row-major order; block.y = sample.
template <class Bits>
struct PackSampleMajor {
  static constexpr int kThreads = kBlock;

  Signs<Bits> signs;
  int64_t n_words;  // of a sample

  SIMT_DEVICE void operator()() const {
    const simt::Dim block = simt::block_index();
    const int64_t sample = block.y;
    const int64_t word = static_cast<int64_t>(block.x) * (kThreads / simt::kWarp) + simt::warp_index();
    if (word >= n_words) return;  // the whole warp
    const uint32_t low = simt::ballot(bit(sample, word * kWordBits + simt::lane_index()));
    const uint32_t high = simt::ballot(bit(sample, word * kWordBits + simt::kWarp + simt::lane_index()));
    if (simt::lane_index() == 0) signs.out[sample * n_words + word] = Word{high} << 32 | low;
  }

  SIMT_DEVICE bool bit(int64_t sample, int64_t neuron) const {
    return neuron < signs.order.n_neurons && signs.positive(sample, signs.order.at(neuron).offset);
  }
};

unsigned n_blocks(int64_t n_items, int64_t per_block) {
  const int64_t n = ceil_div(n_items, per_block);
  if (n > kMaxBlocks) throw std::invalid_argument("an activation of more than 2^38 neurons is not supported");
  return static_cast<unsigned>(n);
}

template <class Bits>
void pack(const View& y, const Bits* data, int64_t n_samples, Layout layout, uint64_t* out, Bits infinity,
          simt::Stream stream) {
  const OffsetRange range = offset_range(y);
  const bool neuron_major = layout == Layout::neuron_major;
  Signs<Bits> signs;
  signs.y = {data, range.begin, range.end};
  signs.order = neuron_order(y, neuron_major);
  signs.sample_stride = y.stride[0];
  signs.n_samples = n_samples;
  signs.infinity = infinity;
  const int64_t n_neurons = signs.order.n_neurons;
  if (n_neurons == 0) return;
  const int64_t n_words = ceil_div(neuron_major ? n_samples : n_neurons, kWordBits);
  signs.out = {reinterpret_cast<Word*>(out), (neuron_major ? n_neurons : n_samples) * n_words};
  const unsigned n_rows = static_cast<unsigned>(neuron_major ? n_words : n_samples);
  if (neuron_major) {
    simt::launch(PackNeuronMajor<Bits>{signs, n_words}, {n_blocks(n_neurons, kBlock), n_rows, 1}, stream);
  } else {
    simt::launch(PackSampleMajor<Bits>{signs, n_words}, {n_blocks(n_words, kBlock / simt::kWarp), n_rows, 1}, stream);
  }
}

}  // namespace

void pack_signs(const View& y, int64_t n_samples, Layout layout, uint64_t* out, Stream stream) {
  check_pattern_samples(y, n_samples);
  const simt::DeviceScope device(stream.device);
  const auto queue = static_cast<simt::Stream>(stream.handle);
  with_bits(y, [&](const auto* data, auto infinity) { pack(y, data, n_samples, layout, out, infinity, queue); });
}

}  // namespace cuda
}  // namespace lswag
