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

#if defined(__SSE2__)
// One bit a lane: the sign bit of each.
template <class Bits>
struct Lanes;

template <>
struct Lanes<uint32_t> {
  typedef uint32_t V __attribute__((vector_size(LSWAG_VECTOR_BYTES)));
  typedef uint32_t Unaligned __attribute__((vector_size(LSWAG_VECTOR_BYTES), aligned(4), may_alias));
  template <class Mask>
  static uint64_t sign_bits(Mask mask) {
#if defined(__AVX512DQ__)
    return static_cast<uint64_t>(__builtin_ia32_cvtd2mask512(mask));
#elif defined(__AVX__)
    return static_cast<uint64_t>(__builtin_ia32_movmskps256(reinterpret_cast<Vec<float> >(mask)));
#else
    return static_cast<uint64_t>(__builtin_ia32_movmskps(reinterpret_cast<Vec<float> >(mask)));
#endif
  }
};

template <>
struct Lanes<uint64_t> {
  typedef uint64_t V __attribute__((vector_size(LSWAG_VECTOR_BYTES)));
  typedef uint64_t Unaligned __attribute__((vector_size(LSWAG_VECTOR_BYTES), aligned(8), may_alias));
  template <class Mask>
  static uint64_t sign_bits(Mask mask) {
#if defined(__AVX512DQ__)
    typedef long long Signed __attribute__((vector_size(LSWAG_VECTOR_BYTES)));
    return static_cast<uint64_t>(__builtin_ia32_cvtq2mask512(reinterpret_cast<Signed>(mask)));
#elif defined(__AVX__)
    return static_cast<uint64_t>(__builtin_ia32_movmskpd256(reinterpret_cast<Vec<double> >(mask)));
#else
    return static_cast<uint64_t>(__builtin_ia32_movmskpd(reinterpret_cast<Vec<double> >(mask)));
#endif
  }
};

template <class Bits>
static uint64_t word_of_lanes(const Bits* x, Bits infinity) {
  constexpr int kWidth = LSWAG_VECTOR_BYTES / static_cast<int>(sizeof(Bits));
  using V = typename Lanes<Bits>::V;
  const V bound = infinity - V{};
  uint64_t word = 0;
  for (int v = 0; v < 64; v += kWidth) {
    const V bits = *reinterpret_cast<const typename Lanes<Bits>::Unaligned*>(x + v);
    word |= Lanes<Bits>::sign_bits((bits - 1) < bound) << v;
  }
  return word;
}

static uint64_t word_of(const uint32_t* x, uint32_t infinity) { return word_of_lanes(x, infinity); }

static uint64_t word_of(const uint64_t* x, uint64_t infinity) { return word_of_lanes(x, infinity); }
#endif

// The bits of 64 neurons, without a special instruction.
template <class Bits>
static uint64_t word_of(const Bits* x, Bits infinity) {
  uint8_t on[64];
  for (int v = 0; v < 64; ++v) on[v] = static_cast<uint8_t>(bit_if_positive(x[v], infinity, Bits(1)));
  uint64_t word = 0;
  for (int k = 0; k < 8; ++k) {
    uint64_t bytes;
    __builtin_memcpy(&bytes, on + 8 * k, sizeof bytes);
    // Byte i is moved to bit 56 + i; no two of the other products meet, so nothing is carried.
    word |= (bytes * 0x0102040810204080u) >> 56 << (8 * k);
  }
  return word;
}

template <class Bits>
static void pack_row(const Bits* x, Bits infinity, uint64_t* out, int64_t n) {
  for (; n >= 64; x += 64, n -= 64) *out++ = word_of(x, infinity);
  if (n == 0) return;
  uint64_t word = 0;
  for (int64_t v = 0; v < n; ++v) word |= bit_if_positive<uint64_t>(x[v], infinity, 1) << v;
  *out = word;
}
