// Packed operands that are bfloat16, at neighbouring positions, as pairs: kBlockPairs of them make a block.

// bfloat16 is the upper half of a float. The elements have no lower half, but where scaling made them subnormal.
static inline __attribute__((always_inline)) Vec<float> pair_up(Vec<float> first, Vec<float> second) {
  using Bits = typename Wide<float>::Bits;
  return (Vec<float>)(((Bits)first >> 16 & 0xffff) | ((Bits)second & ~0xffff));
}

static void pair_panel(const float* panel, int64_t n_positions, int64_t width, float* out) {
  const int64_t n_pairs = (n_positions + 2 * kBlockPairs - 1) / (2 * kBlockPairs) * kBlockPairs;
  for (int64_t pair = 0; pair < n_pairs; ++pair, panel += 2 * width, out += width) {
    const bool has_first = 2 * pair < n_positions;
    const bool has_second = 2 * pair + 1 < n_positions;
    for (int64_t f = 0; f < width; f += kLanes<float>) {
      const Vec<float> first = has_first ? load(panel + f) : Vec<float>{};
      const Vec<float> second = has_second ? load(panel + width + f) : Vec<float>{};
      store(out + f, pair_up(first, second));
    }
  }
}

// The pairs of a plane whose positions `partner` elements apart are neighbours. It goes on with zeros.
static void pair_plane(const float* plane, int64_t n, int64_t partner, float* out) {
  for (int64_t k = 0; k < n; k += kLanes<float>) store(out + k, pair_up(load(plane + k), load(plane + k + partner)));
}
