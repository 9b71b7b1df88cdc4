// The outer products of float by the tile registers of AMX: 32 rows of grad_out by up to 32 columns of x. A float is
// the sum of three bfloat16, its pieces of 8 bits; of the nine products of the pieces of two floats, the six largest
// make up their product to 2^-23 of it, each exact, and are added in float.

constexpr int kPieces = 3;
constexpr int kPieceRows = 2 * kAmxRows;
constexpr int kPieceVectors = 2;  // columns of registers
constexpr int kPieceTaskRows = 256;
constexpr int kSumOfBlocks = 16;  // in one sum, whose error grows with its length
constexpr int64_t kRegisterPairs = kAmxRows * kBlockPairs;
static_assert(kPieceRows * kPieceVectors <= kMaxStateVectors && kLanes<float> <= kMaxLanes, "as PendingTile holds it");

// The bfloat16 next to a float, as a float. Half of its last place is added to the magnitude and carries.
static inline __attribute__((always_inline)) __m512i rounded(__m512 v) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  return _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(0x8000)), upper);
}

// A piece is what is left, rounded; of the third there is nothing to round, and so it keeps a NaN.
static inline __attribute__((always_inline)) void cut_pair(__m512 first, __m512 second, __m512i (&pairs)[kPieces]) {
  for (int piece = 0; piece < kPieces; ++piece) {
    const bool is_last = piece == kPieces - 1;
    const __m512i low = is_last ? _mm512_castps_si512(first) : rounded(first);
    const __m512i high = is_last ? _mm512_castps_si512(second) : rounded(second);
    pairs[piece] = _mm512_or_si512(_mm512_srli_epi32(low, 16), high);
    first = _mm512_sub_ps(first, _mm512_castsi512_ps(low));
    second = _mm512_sub_ps(second, _mm512_castsi512_ps(high));
  }
}

// 16 features at a position and the one after it; beyond the last there are zeros.
static inline __attribute__((always_inline)) void cut_positions(const float* from, int64_t position,
                                                                int64_t n_positions, int64_t width,
                                                                __m512i (&pairs)[kPieces]) {
  from += position * width;
  const __m512 zero = _mm512_setzero_ps();
  cut_pair(position < n_positions ? _mm512_loadu_ps(from) : zero,
           position + 1 < n_positions ? _mm512_loadu_ps(from + width) : zero, pairs);
}

static inline int64_t pairs_of_blocks(int64_t n_positions) {
  return (n_positions + 2 * kBlockPairs - 1) / (2 * kBlockPairs) * kBlockPairs;
}

static void cut_panel(const float* panel, int64_t n_positions, int64_t width, float* out) {
  const int64_t n_pairs = pairs_of_blocks(n_positions);
  for (int64_t pair = 0; pair < n_pairs; ++pair, out += width) {
    for (int64_t f = 0; f < width; f += kLanes<float>) {
      __m512i pairs[kPieces];
      cut_positions(panel + f, 2 * pair, n_positions, width, pairs);
      for (int piece = 0; piece < kPieces; ++piece) {
        _mm512_storeu_si512(out + piece * n_pairs * width + f, pairs[piece]);
      }
    }
  }
}

// 16 x 16 elements of 32 bits.
static inline __attribute__((always_inline)) void transpose(__m512i (&rows)[kAmxRows]) {
  __m512i twos[kAmxRows];
  for (int k = 0; k < kAmxRows; k += 2) {
    twos[k] = _mm512_unpacklo_epi32(rows[k], rows[k + 1]);
    twos[k + 1] = _mm512_unpackhi_epi32(rows[k], rows[k + 1]);
  }
  __m512i fours[kAmxRows];  // of each quarter of a vector a column of four rows
  for (int k = 0; k < kAmxRows; k += 4) {
    for (int half = 0; half < 2; ++half) {
      fours[k + 2 * half] = _mm512_unpacklo_epi64(twos[k + half], twos[k + half + 2]);
      fours[k + 2 * half + 1] = _mm512_unpackhi_epi64(twos[k + half], twos[k + half + 2]);
    }
  }
  constexpr int kEven = 0x88;  // quarters 0 and 2 of either
  constexpr int kOdd = 0xdd;
  for (int k = 0; k < 4; ++k) {
    const __m512i even_low = _mm512_shuffle_i32x4(fours[k], fours[k + 4], kEven);
    const __m512i odd_low = _mm512_shuffle_i32x4(fours[k], fours[k + 4], kOdd);
    const __m512i even_high = _mm512_shuffle_i32x4(fours[k + 8], fours[k + 12], kEven);
    const __m512i odd_high = _mm512_shuffle_i32x4(fours[k + 8], fours[k + 12], kOdd);
    rows[k] = _mm512_shuffle_i32x4(even_low, even_high, kEven);
    rows[k + 4] = _mm512_shuffle_i32x4(odd_low, odd_high, kEven);
    rows[k + 8] = _mm512_shuffle_i32x4(even_low, even_high, kOdd);
    rows[k + 12] = _mm512_shuffle_i32x4(odd_low, odd_high, kOdd);
  }
}

// A block's pairs of 16 rows: (pieces, rows, pairs).
static void cut_block(const float* slice, int64_t first, int64_t n_positions, int64_t piece_pitch, float* out) {
  __m512i pairs[kPieces][kBlockPairs];
  for (int pair = 0; pair < kBlockPairs; ++pair) {
    __m512i found[kPieces];
    cut_positions(slice, first + 2 * pair, n_positions, kPieceRows, found);
    for (int piece = 0; piece < kPieces; ++piece) pairs[piece][pair] = found[piece];
  }
  for (int piece = 0; piece < kPieces; ++piece) {
    transpose(pairs[piece]);
    for (int row = 0; row < kAmxRows; ++row) {
      _mm512_storeu_si512(out + piece * piece_pitch + row * kBlockPairs, pairs[piece][row]);
    }
  }
}

static void cut_slice(const float* slice, int64_t n_positions, float* out) {
  const int64_t piece_pitch = pairs_of_blocks(n_positions) * kPieceRows;
  for (int64_t first = 0; first < n_positions; first += 2 * kBlockPairs) {
    for (int half = 0; half < 2; ++half, out += kRegisterPairs) {
      cut_block(slice + half * kAmxRows, first, n_positions, piece_pitch, out);
    }
  }
}

// A block of a tile: its pairs in the first piece, and how far apart pieces are.
struct PieceBlock {
  const float* grad;
  const float* x;
  int64_t grad_piece;
  int64_t x_piece;
  int64_t pitch;  // bytes from one pair of x to the next
};

// Registers are named by literals in the instructions: 0 to 3 add up, 4 and 5 hold grad_out, 6 and 7 hold x.
template <int Piece>
static inline __attribute__((always_inline)) void load_grad(const PieceBlock& block) {
  _tile_loadd(4, block.grad + Piece * block.grad_piece, kBlockPairs * sizeof(float));
  _tile_loadd(5, block.grad + Piece * block.grad_piece + kRegisterPairs, kBlockPairs * sizeof(float));
}

template <int NV, int Piece>
static inline __attribute__((always_inline)) void load_x(const PieceBlock& block) {
  _tile_loadd(6, block.x + Piece * block.x_piece, block.pitch);
  if constexpr (NV > 1) _tile_loadd(7, block.x + Piece * block.x_piece + kLanes<float>, block.pitch);
}

template <int NV>
static inline __attribute__((always_inline)) void add_products() {
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (NV > 1) _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  if constexpr (NV > 1) _tile_dpbf16ps(3, 5, 7);
}

// In an order that loads few registers twice.
template <int NV>
static inline __attribute__((always_inline)) void add_pieces(const PieceBlock& block) {
  load_grad<2>(block);
  load_x<NV, 0>(block);
  add_products<NV>();
  load_grad<0>(block);
  add_products<NV>();
  load_x<NV, 2>(block);
  add_products<NV>();
  load_x<NV, 1>(block);
  add_products<NV>();
  load_grad<1>(block);
  add_products<NV>();
  load_x<NV, 0>(block);
  add_products<NV>();
}

template <int NV>
static inline __attribute__((always_inline)) void store_sums(float* sums) {
  constexpr int kRow = NV * kLanes<float>;
  constexpr int64_t kRowBytes = kRow * sizeof(float);
  _tile_stored(0, sums, kRowBytes);
  if constexpr (NV > 1) _tile_stored(1, sums + kLanes<float>, kRowBytes);
  _tile_stored(2, sums + kAmxRows * kRow, kRowBytes);
  if constexpr (NV > 1) _tile_stored(3, sums + kAmxRows * kRow + kLanes<float>, kRowBytes);
}

// Up to n vectors of what is pending.
static inline __attribute__((always_inline)) void take_up_some(PendingTile<float>& pending, int n) {
  constexpr int L = kLanes<float>;
  const MomentsJob<float>& job = pending.job;
  const Vec<float> inv_count = splat(job.inv_count);
  const auto mask = gradient_mask<float>(job.absolute);
  const float* gradient = pending.gradient[pending.turn ^ 1];
  const int64_t pitch = static_cast<int64_t>(pending.n_vectors) * L;
  const int end = pending.n_vectors - pending.vector < n ? pending.n_vectors : pending.vector + n;
  for (int j = pending.vector; j < end; ++j) {
    const Vec<float> g = load(gradient + j * L);
    float* mean = job.state + j * L;
    if (job.batch_gradient) update_signed_mean(mean + 2 * pitch, g, inv_count);
    update_moments(mean, mean + pitch, apply_mask<float>(g, mask), inv_count);
  }
  pending.vector = end;
}

static void take_up(PendingTile<float>& pending) { take_up_some(pending, pending.n_vectors); }

// A run of blocks from zero: the error of a sum grows with its length.
template <int NV>
static inline __attribute__((always_inline)) void add_run(PieceBlock& block, int64_t n_blocks, int64_t x_step,
                                                          PendingTile<float>& pending, float* sums) {
  const int n_each = static_cast<int>((pending.n_vectors - pending.vector + n_blocks - 1) / n_blocks);
  _tile_zero(0);
  if constexpr (NV > 1) _tile_zero(1);
  _tile_zero(2);
  if constexpr (NV > 1) _tile_zero(3);
  for (int64_t k = 0; k < n_blocks; ++k) {
    add_pieces<NV>(block);
    block.grad += 2 * kRegisterPairs;
    block.x += x_step;
    take_up_some(pending, n_each);
  }
  store_sums<NV>(sums);
}

// The next sample is not fetched here: between so many loads of registers that cost more than it saved.
template <int NV>
static void piece_tile_of(const TileJob<float>& job) {
  constexpr int kVectors = kPieceRows * NV;
  PendingTile<float>& pending = *job.pending;
  const TileCall<float>& call = *job.calls;  // a panel has one, of one line
  const int64_t n_pairs = pairs_of_blocks(call.n_cols);
  const int64_t n_blocks = n_pairs / kBlockPairs;
  const int64_t x_step = kBlockPairs * call.col_step;
  PieceBlock block = {call.grad, call.x + job.offset[0], n_pairs * kPieceRows, n_pairs * call.col_step,
                      call.col_step * static_cast<int64_t>(sizeof(float))};
  float* gradient = pending.gradient[pending.turn];
  for (int64_t k = 0; k < n_blocks; k += kSumOfBlocks) {
    const int64_t n = n_blocks - k < kSumOfBlocks ? n_blocks - k : kSumOfBlocks;
    alignas(64) float further[kVectors * kLanes<float>];
    add_run<NV>(block, n, x_step, pending, k ? further : gradient);
    if (k == 0) continue;
    for (int j = 0; j < kVectors * kLanes<float>; ++j) gradient[j] += further[j];
  }
  pending.job = job.moments;
  pending.vector = 0;
  pending.n_vectors = kVectors;
  pending.turn ^= 1;
}

static void piece_tile(const TileJob<float>& job) {
  return job.n_vectors == 1 ? piece_tile_of<1>(job) : piece_tile_of<kPieceVectors>(job);
}

static void pack_floats(const PackJob<float>& job) {
  pack_from<float, float, kPieceRows, kPieceVectors * kLanes<float>>(job);
}

constexpr PairOps<float> kPiecePairs = {2 * kBlockPairs, kPieces,     cut_panel, nullptr,
                                        cut_slice,       begin_tiles, end_tiles, take_up};

constexpr GradientOps<float> kPieceGradientOps = {kLanes<float>, kPieceRows,    kPieceVectors, kPieceTaskRows,
                                                  pack_floats,   piece_tile,    nullptr,       nullptr,
                                                  merge<float>,  finish<float>, &kPiecePairs};

constexpr const GradientOps<float>* kPiecesOps = &kPieceGradientOps;
