// Differing bits of two rows.

// Spelled out, since the baseline's builtin is a slow library call; compilers turn this form into one instruction
// where the set has it, and into vector code where not.
static uint64_t count_ones(uint64_t x) {
  x -= (x >> 1) & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
  x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
  return (x * 0x0101010101010101u) >> 56;
}

static int64_t count_differing(const uint64_t* a, const uint64_t* b, int64_t n_words) {
  uint64_t n = 0;
  for (int64_t k = 0; k < n_words; ++k) n += count_ones(a[k] ^ b[k]);
  return static_cast<int64_t>(n);
}
