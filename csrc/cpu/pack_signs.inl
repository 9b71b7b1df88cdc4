// Signs to bits.
//
// A float is > 0 exactly if its bits, read as an unsigned integer, lie in 1..infinity: NaNs lie above that, negative
// numbers higher still, and 0 - 1 wraps to the top. The integer test serves all formats and, unlike a float comparison,
// still sees subnormals when the caller has told the processor to take them as zero.

template <class Bits>
static Bits bit_if_positive(Bits x, Bits infinity, Bits bit) {
  return static_cast<Bits>(x - 1) < infinity ? bit : Bits(0);
}

template <class Bits>
static void accumulate_signs(const Bits* x, int64_t sample_stride, int n_samples, int first_bit, Bits infinity,
                             Bits* __restrict acc, int64_t n) {
  int s = 0;
  // Four samples a sweep: a quarter of the traffic on acc, and few enough streams for the hardware to prefetch.
  for (; s + 4 <= n_samples; s += 4) {
    const Bits* x0 = x + s * sample_stride;
    const Bits* x1 = x0 + sample_stride;
    const Bits* x2 = x1 + sample_stride;
    const Bits* x3 = x2 + sample_stride;
    const Bits bit0 = static_cast<Bits>(Bits(1) << (first_bit + s));
    const Bits bit1 = static_cast<Bits>(bit0 << 1);
    const Bits bit2 = static_cast<Bits>(bit0 << 2);
    const Bits bit3 = static_cast<Bits>(bit0 << 3);
    for (int64_t v = 0; v < n; ++v) {
      acc[v] |= static_cast<Bits>(bit_if_positive(x0[v], infinity, bit0) | bit_if_positive(x1[v], infinity, bit1) |
                                  bit_if_positive(x2[v], infinity, bit2) | bit_if_positive(x3[v], infinity, bit3));
    }
  }
  for (; s < n_samples; ++s) {
    const Bits* row = x + s * sample_stride;
    const Bits bit = static_cast<Bits>(Bits(1) << (first_bit + s));
    for (int64_t v = 0; v < n; ++v) acc[v] |= bit_if_positive(row[v], infinity, bit);
  }
}
