// Fused multiply-adds and nothing else, to measure the peak that the kernels are held against.

static double fma_loop(int64_t n_iterations, float* sink) {
  constexpr int kChains = LSWAG_TILE_ROWS * LSWAG_TILE_VECTORS;  // enough to hide the latency of 4 or 5 cycles
  Vec<float> acc[kChains];
  // Start values that the compiler cannot know: of a chain that begins at its fixed point it makes a constant.
  for (int j = 0; j < kChains; ++j) acc[j] = splat(*sink + static_cast<float>(j));
  Vec<float> factor = splat(0.999f);
  Vec<float> addend = splat(0.001f);
  for (int64_t n = 0; n < n_iterations; ++n) {
#pragma GCC unroll 32
    for (int j = 0; j < kChains; ++j) acc[j] = acc[j] * factor + addend;
  }
  for (int j = 0; j < kChains; ++j) *sink += acc[j][0];
  return 2.0 * kLanes<float> * kChains * static_cast<double>(n_iterations);
}
