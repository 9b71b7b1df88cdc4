// Differing bits of two rows.
//
// Eight vectors of differences go through carry-save adders: bit planes of the weights 1, 2 and 4 stay in registers and
// only the plane of the weight 8 is counted, so that a vector costs seven logical operations (Harley and Seal; Mula,
// Kurz, Lemire, The Computer Journal 2018). The counting itself is by halves of words, without a table or a multiply.

typedef uint64_t BitVector __attribute__((vector_size(LSWAG_VECTOR_BYTES)));
typedef uint64_t UnalignedBitVector __attribute__((vector_size(LSWAG_VECTOR_BYTES), aligned(8), may_alias));

constexpr int kVectorWords = LSWAG_VECTOR_BYTES / 8;
constexpr int64_t kPlaneVectors = 8;
// Blocks of eight vectors until a byte of the counter, which takes up to 8 from each, could overflow.
constexpr int64_t kMaxBlocks = 31;

// The ones of every byte.
template <class Word>
static inline __attribute__((always_inline)) Word ones_of_bytes(Word x) {
  x -= (x >> 1) & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
  return (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
}

// Sums of neighbouring bytes, in 16 bits each.
static inline __attribute__((always_inline)) BitVector sums_of_pairs(BitVector x) {
  return (x & 0x00FF00FF00FF00FFu) + ((x >> 8) & 0x00FF00FF00FF00FFu);
}

static inline uint64_t sum_of_pairs(BitVector pairs) {
  uint64_t sum = 0;
  for (int k = 0; k < kVectorWords; ++k) sum += (pairs[k] * 0x0001000100010001u) >> 48;
  return sum;
}

static inline __attribute__((always_inline)) BitVector difference(const uint64_t* a, const uint64_t* b) {
  return *reinterpret_cast<const UnalignedBitVector*>(a) ^ *reinterpret_cast<const UnalignedBitVector*>(b);
}

// Adds y and z to the plane: what remains of the same weight stays there, the carries are returned.
static inline __attribute__((always_inline)) BitVector add_to_plane(BitVector& plane, BitVector y, BitVector z) {
  const BitVector half = plane ^ y;
  const BitVector carry = (plane & y) | (half & z);
  plane = half ^ z;
  return carry;
}

// n_blocks blocks of eight vectors, at most kMaxBlocks.
static uint64_t differing_of_blocks(const uint64_t* a, const uint64_t* b, int64_t n_blocks) {
  BitVector ones{}, twos{}, fours{}, eights_of_bytes{};
  for (int64_t block = 0; block < n_blocks; ++block) {
    BitVector two[4];
    for (int k = 0; k < 4; ++k, a += 2 * kVectorWords, b += 2 * kVectorWords) {
      two[k] = add_to_plane(ones, difference(a, b), difference(a + kVectorWords, b + kVectorWords));
    }
    const BitVector four = add_to_plane(twos, two[0], two[1]);
    const BitVector eight = add_to_plane(fours, four, add_to_plane(twos, two[2], two[3]));
    eights_of_bytes += ones_of_bytes(eight);
  }
  // A byte holds at most 8 + 2 * 8 + 4 * 8 here, and the four 16-bit numbers of a word at most 4 * 2 * 8 * 255 below.
  const BitVector rest = ones_of_bytes(ones) + 2 * ones_of_bytes(twos) + 4 * ones_of_bytes(fours);
  return sum_of_pairs(8 * sums_of_pairs(eights_of_bytes) + sums_of_pairs(rest));
}

static int64_t count_differing(const uint64_t* a, const uint64_t* b, int64_t n_words) {
  constexpr int64_t kBlockWords = kPlaneVectors * kVectorWords;
  uint64_t n = 0;
  while (n_words >= kBlockWords) {
    const int64_t whole = n_words / kBlockWords;
    const int64_t n_blocks = whole < kMaxBlocks ? whole : kMaxBlocks;
    n += differing_of_blocks(a, b, n_blocks);
    a += n_blocks * kBlockWords;
    b += n_blocks * kBlockWords;
    n_words -= n_blocks * kBlockWords;
  }
  for (int64_t k = 0; k < n_words; ++k) n += (ones_of_bytes(a[k] ^ b[k]) * 0x0101010101010101u) >> 56;
  return static_cast<int64_t>(n);
}
