// The outer products of bfloat16 by the dot products of AVX512_BF16, in the tiles of float: an instruction multiplies
// two positions.

constexpr int kDotTaskRows = 192;  // packing weighs more than beside products of float, so panels serve more rows

// (pairs, rows): a block is one pair.
static void pair_slice(const float* slice, int64_t n_positions, float* out) {
  constexpr int R = LSWAG_TILE_ROWS;
  for (int64_t position = 0; position < n_positions; position += 2, slice += 2 * R, out += R) {
    const bool has_second = position + 1 < n_positions;
    for (int row = 0; row < R; ++row) {
      const float pair[2] = {slice[row], has_second ? slice[R + row] : 0.0f};
      uint32_t bits[2];
      __builtin_memcpy(bits, pair, sizeof bits);
      const uint32_t joined = bits[0] >> 16 | (bits[1] & 0xffff0000u);
      __builtin_memcpy(out + row, &joined, sizeof joined);
    }
  }
}

static inline __attribute__((always_inline)) Vec<float> add_dots(Vec<float> sum, Vec<float> a, Vec<float> b) {
  return (Vec<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

// The outer products of n pairs of positions.
template <int NV>
static inline __attribute__((always_inline)) void add_pairs(Vec<float> (&acc)[LSWAG_TILE_ROWS * NV], const float* grad,
                                                            const float* x, const int64_t (&offset)[NV],
                                                            int64_t col_step, int64_t n) {
  constexpr int R = LSWAG_TILE_ROWS;
  for (int64_t k = 0; k < n; ++k, x += col_step, grad += R) {
    Vec<float> columns[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) columns[v] = load(x + offset[v]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      int32_t pair;
      __builtin_memcpy(&pair, grad + r, sizeof pair);
      const Vec<float> g = (Vec<float>)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[r * NV + v] = add_dots(acc[r * NV + v], g, columns[v]);
    }
  }
}

template <int NV>
static void dot_tile_of(const TileJob<float>& job) {
  constexpr int R = LSWAG_TILE_ROWS;
  constexpr int64_t kPairs = kStretch / 2;
  Vec<float> acc[R * NV] = {};
  int64_t offset[NV];
  for (int v = 0; v < NV; ++v) offset[v] = job.offset[v];
  const char* ahead = job.ahead;
  for (int c = 0; c < job.n_calls; ++c) {
    const TileCall<float>& call = job.calls[c];
    const float* grad = call.grad;
    for (int64_t row = 0; row < call.n_rows; ++row) {
      const float* x = call.x + row * call.row_pitch;
      for (int64_t left = (call.n_cols + 1) / 2; left > 0; left -= kPairs) {
        for (int k = 0; k < job.n_ahead; ++k, ahead += job.ahead_step) __builtin_prefetch(ahead, 0, 2);  // never faults
        const int64_t n = left < kPairs ? left : kPairs;
        add_pairs<NV>(acc, grad, x, offset, call.col_step, n);
        grad += n * R;
        x += n * call.col_step;
      }
    }
  }
  update_state<float, R * NV>(job.moments, acc);
}

static void dot_tile(const TileJob<float>& job) {
  switch (job.n_vectors) {
    case 1:
      return dot_tile_of<1>(job);
    case 2:
      return dot_tile_of<2>(job);
    default:
      return dot_tile_of<LSWAG_TILE_VECTORS>(job);
  }
}

static void pack_pairs(const PackJob<float>& job) {
  pack_from<float, BFloat16, LSWAG_TILE_ROWS, LSWAG_TILE_VECTORS * kLanes<float>>(job);
}

constexpr PairOps<float> kPairs = {2 * kBlockPairs, 1, pair_panel, pair_plane, pair_slice, nullptr, nullptr, nullptr};

constexpr GradientOps<float> kPairedGradientOps = {
    kLanes<float>, LSWAG_TILE_ROWS, LSWAG_TILE_VECTORS, kDotTaskRows,  pack_pairs, dot_tile,
    nullptr,       nullptr,         merge<float>,       finish<float>, &kPairs};

constexpr const GradientOps<float>* kPairedOps = &kPairedGradientOps;
