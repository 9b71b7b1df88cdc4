// The inner loops of pack_signs and agreement_counts, one set per instruction set.
#pragma once

#include <cstdint>

namespace lswag {

// Bits is an unsigned integer as wide as an element; x holds bit patterns, infinity that of +inf.
template <class Bits>
struct SignOps {
  // Bit first_bit + s of acc[v] is set where sample s of x, n_samples rows sample_stride apart, is positive at v < n.
  // first_bit + n_samples is at most the width of Bits.
  void (*accumulate)(const Bits* x, int64_t sample_stride, int n_samples, int first_bit, Bits infinity, Bits* acc,
                     int64_t n);
  // Bit v % 64 of out[v / 64] is set where x[v], v < n, is positive; ceil(n / 64) words are written.
  void (*pack_row)(const Bits* x, Bits infinity, uint64_t* out, int64_t n);
};

struct PatternOps {
  SignOps<uint16_t> signs16;
  SignOps<uint32_t> signs32;
  SignOps<uint64_t> signs64;
  // The number of bits in which two rows differ.
  int64_t (*count_differing)(const uint64_t* a, const uint64_t* b, int64_t n_words);
};

}  // namespace lswag
