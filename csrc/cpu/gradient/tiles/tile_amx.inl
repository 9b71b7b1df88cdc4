// The outer products of bfloat16 by the tile registers of AMX: a tile of 16 rows of grad_out by up to 64 columns of x.

constexpr int kAmxVectors = 4;     // registers that add up; three more hold operands
constexpr int kAmxTaskRows = 256;  // packing weighs more than beside products of float, so panels serve more rows

static void pair_slice(const float* slice, int64_t n_positions, float* out) {
  float block[kBlockPairs * kAmxRows];
  for (int64_t first = 0; first < n_positions; first += 2 * kBlockPairs, out += kBlockPairs * kAmxRows) {
    const int64_t left = n_positions - first;
    pair_panel(slice + first * kAmxRows, left < 2 * kBlockPairs ? left : 2 * kBlockPairs, kAmxRows, block);
    for (int row = 0; row < kAmxRows; ++row) {
      for (int pair = 0; pair < kBlockPairs; ++pair) out[row * kBlockPairs + pair] = block[pair * kAmxRows + row];
    }
  }
}

// Registers are named by literals in the instructions: 0 to 3 add up, 4 holds grad_out, 5 and 6 hold x in turn.
template <int NV>
static inline __attribute__((always_inline)) void add_block(const float* grad, const float* x, const int64_t* offset,
                                                            int64_t pitch) {
  _tile_loadd(4, grad, kBlockPairs * sizeof(float));
  _tile_loadd(5, x + offset[0], pitch);
  _tile_dpbf16ps(0, 4, 5);
  if constexpr (NV > 1) {
    _tile_loadd(6, x + offset[1], pitch);
    _tile_dpbf16ps(1, 4, 6);
  }
  if constexpr (NV > 2) {
    _tile_loadd(5, x + offset[2], pitch);
    _tile_dpbf16ps(2, 4, 5);
  }
  if constexpr (NV > 3) {
    _tile_loadd(6, x + offset[3], pitch);
    _tile_dpbf16ps(3, 4, 6);
  }
}

template <int NV>
static void amx_tile_of(const TileJob<float>& job) {
  const char* ahead = job.ahead;
  _tile_zero(0);
  if constexpr (NV > 1) _tile_zero(1);
  if constexpr (NV > 2) _tile_zero(2);
  if constexpr (NV > 3) _tile_zero(3);
  for (int c = 0; c < job.n_calls; ++c) {
    const TileCall<float>& call = job.calls[c];
    const float* grad = call.grad;
    for (int64_t row = 0; row < call.n_rows; ++row) {
      const float* x = call.x + row * call.row_pitch;
      for (int64_t left = call.n_cols; left > 0; left -= 2 * kBlockPairs) {
        for (int k = 0; k < job.n_ahead; ++k, ahead += job.ahead_step) __builtin_prefetch(ahead, 0, 2);  // never faults
        add_block<NV>(grad, x, job.offset, call.col_step * static_cast<int64_t>(sizeof(float)));
        grad += kBlockPairs * kAmxRows;
        x += kBlockPairs * call.col_step;
      }
    }
  }
  Vec<float> gradient[kAmxRows * NV];
  constexpr int64_t kRowBytes = NV * sizeof(Vec<float>);
  _tile_stored(0, gradient, kRowBytes);
  if constexpr (NV > 1) _tile_stored(1, gradient + 1, kRowBytes);
  if constexpr (NV > 2) _tile_stored(2, gradient + 2, kRowBytes);
  if constexpr (NV > 3) _tile_stored(3, gradient + 3, kRowBytes);
  update_state<float, kAmxRows * NV>(job.moments, gradient);
}

static void amx_tile(const TileJob<float>& job) {
  switch (job.n_vectors) {
    case 1:
      return amx_tile_of<1>(job);
    case 2:
      return amx_tile_of<2>(job);
    case 3:
      return amx_tile_of<3>(job);
    default:
      return amx_tile_of<kAmxVectors>(job);
  }
}

static void pack_pairs(const PackJob<float>& job) {
  pack_from<float, BFloat16, kAmxRows, kAmxVectors * kLanes<float>>(job);
}

constexpr PairOps<float> kPairs = {2 * kBlockPairs, 1,           pair_panel, pair_plane,
                                   pair_slice,      begin_tiles, end_tiles,  nullptr};

constexpr GradientOps<float> kPairedGradientOps = {kLanes<float>, kAmxRows,      kAmxVectors, kAmxTaskRows,
                                                   pack_pairs,    amx_tile,      nullptr,     nullptr,
                                                   merge<float>,  finish<float>, &kPairs};

constexpr const GradientOps<float>* kPairedOps = &kPairedGradientOps;
