// The inner loops of pack_signs and hamming, one set per instruction set.
#pragma once

#include <cstdint>

namespace lswag {

// Bit first_bit + s of acc[v] is set where sample s of x, n_samples rows sample_stride apart, is positive at v < n.
// Bits is an unsigned integer as wide as an element; x holds bit patterns, infinity that of +inf. first_bit + n_samples
// is at most the width of Bits.
template <class Bits>
using AccumulateSigns = void (*)(const Bits* x, int64_t sample_stride, int n_samples, int first_bit, Bits infinity,
                                 Bits* acc, int64_t n);

struct PatternOps {
  AccumulateSigns<uint16_t> accumulate_signs16;
  AccumulateSigns<uint32_t> accumulate_signs32;
  AccumulateSigns<uint64_t> accumulate_signs64;
  // The number of bits in which two rows differ.
  int64_t (*count_differing)(const uint64_t* a, const uint64_t* b, int64_t n_words);
};

}  // namespace lswag
