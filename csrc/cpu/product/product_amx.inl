// float_product by the tile registers of AMX. The planes of a block lie one after the other, each in two tiles of 1024
// bytes: 16 rows of a with 32 terms of the sum, or 16 pairs of terms of b with 16 columns.

constexpr int kTileBytes = 1024;
constexpr int kPlaneBytes = 2 * kTileBytes;
constexpr int kProductBlockBytes = kProductPlanes * kPlaneBytes;
constexpr int kTileSums = kProductPanel * kProductPanel;
constexpr int64_t kSumBlocks = 16;  // of 32 terms, in one sum
constexpr int kFloatExponentBias = 127;
constexpr int kLargestExponent = 126;  // its inverse is a normal float

// The exponents of the largest magnitudes, and what divides by their powers of two.
struct RowScale {
  __m512 exponent;
  bool finite;
};

static inline __attribute__((always_inline)) __mmask16 first_lanes(int64_t n) {
  return n >= 16 ? 0xffff : n <= 0 ? 0 : static_cast<__mmask16>((1u << n) - 1);
}

static inline __attribute__((always_inline)) RowScale scale_of(__m512i magnitude) {
  const __m512i biased = _mm512_srli_epi32(magnitude, 23);
  const __m512i exponent = _mm512_sub_epi32(biased, _mm512_set1_epi32(kFloatExponentBias));
  const __m512i clamped = _mm512_min_epi32(_mm512_max_epi32(exponent, _mm512_set1_epi32(-kLargestExponent)),
                                           _mm512_set1_epi32(kLargestExponent));
  return {_mm512_cvtepi32_ps(clamped), _mm512_cmpge_epi32_mask(biased, _mm512_set1_epi32(255)) == 0};
}

static inline __attribute__((always_inline)) __m512i magnitude_of(__m512 v) {
  return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff));
}

// The upper half of each element: a bfloat16 as a float.
static inline __attribute__((always_inline)) __m512 as_float(__m256i bfloat16) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bfloat16), 16));
}

static inline __attribute__((always_inline)) void cut(__m512 v, __m256i (&planes)[kProductPlanes]) {
  for (int k = 0; k < kProductPlanes; ++k) {
    planes[k] = (__m256i)_mm512_cvtneps_pbh(v);
    v = _mm512_sub_ps(v, as_float(planes[k]));
  }
}

static inline float row_exponent(const float* row, int64_t depth, bool& finite) {
  __m512i largest = _mm512_setzero_si512();
  for (int64_t k = 0; k < depth; k += 16) {
    largest = _mm512_max_epi32(largest, magnitude_of(_mm512_maskz_loadu_ps(first_lanes(depth - k), row + k)));
  }
  const RowScale scale = scale_of(_mm512_set1_epi32(_mm512_reduce_max_epi32(largest)));
  finite = finite && scale.finite;
  return _mm512_cvtss_f32(scale.exponent);
}

// A row of a block: its terms from `first` on, in the order of the sum.
static inline __attribute__((always_inline)) void pack_row(const ProductPanel& job, int row, int64_t first,
                                                           unsigned char* out) {
  const __m512 power = _mm512_set1_ps(-job.exponent[row]);
  const float* source = job.source + row * job.stride + first;
  for (int half = 0; half < 2; ++half) {
    const __mmask16 lanes = row < job.n ? first_lanes(job.depth - first - half * 16) : 0;
    __m256i planes[kProductPlanes];
    cut(_mm512_scalef_ps(_mm512_maskz_loadu_ps(lanes, source + half * 16), power), planes);
    for (int plane = 0; plane < kProductPlanes; ++plane) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + plane * kPlaneBytes + half * 32), planes[plane]);
    }
  }
}

static bool pack_rows(const ProductPanel& job) {
  bool finite = true;
  for (int row = 0; row < kProductPanel; ++row) {
    job.exponent[row] = row < job.n ? row_exponent(job.source + row * job.stride, job.depth, finite) : 0;
  }
  unsigned char* block = job.planes;
  for (int64_t first = 0; first < job.depth; first += kProductDepth, block += kProductBlockBytes) {
    for (int row = 0; row < kProductPanel; ++row) pack_row(job, row, first, block + row * 64);
  }
  return finite;
}

// A tile of rows of pairs becomes one of pairs of rows.
static void transpose_pairs(unsigned char* tile) {
  uint32_t pairs[kAmxRows * kBlockPairs];
  uint32_t* out = reinterpret_cast<uint32_t*>(tile);
  __builtin_memcpy(pairs, tile, kTileBytes);
  const __m512i step = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                          _mm512_set1_epi32(kBlockPairs));
  for (int pair = 0; pair < kBlockPairs; ++pair) {
    _mm512_storeu_si512(out + pair * kAmxRows, _mm512_i32gather_epi32(step, pairs + pair, 4));
  }
}

static bool pack_transposed(const ProductPanel& job) {
  const bool finite = pack_rows(job);
  const int64_t n_tiles = panel_blocks(job.depth) * kProductPlanes * 2;
  for (int64_t k = 0; k < n_tiles; ++k) transpose_pairs(job.planes + k * kTileBytes);
  return finite;
}

static bool column_exponents(const ProductPanel& job) {
  bool finite = true;
  for (int half = 0; half < 2; ++half) {
    const __mmask16 lanes = first_lanes(job.n - half * 16);
    __m512i largest = _mm512_setzero_si512();
    for (int64_t k = 0; k < job.depth; ++k) {
      const __m512 v = _mm512_maskz_loadu_ps(lanes, job.source + k * job.stride + half * 16);
      largest = _mm512_max_epi32(largest, magnitude_of(v));
    }
    const RowScale scale = scale_of(largest);
    _mm512_storeu_ps(job.exponent + half * 16, scale.exponent);
    finite = finite && scale.finite;
  }
  return finite;
}

static bool pack_columns(const ProductPanel& job) {
  const bool finite = column_exponents(job);
  for (int half = 0; half < 2; ++half) {
    const __mmask16 lanes = first_lanes(job.n - half * 16);
    const __m512 power = _mm512_sub_ps(_mm512_setzero_ps(), _mm512_loadu_ps(job.exponent + half * 16));
    unsigned char* out = job.planes + half * kTileBytes;
    for (int64_t k = 0; k < panel_blocks(job.depth) * kProductDepth; k += 2) {
      const float* source = job.source + k * job.stride + half * 16;
      __m256i first[kProductPlanes];
      __m256i second[kProductPlanes];
      cut(_mm512_scalef_ps(_mm512_maskz_loadu_ps(k < job.depth ? lanes : 0, source), power), first);
      cut(_mm512_scalef_ps(_mm512_maskz_loadu_ps(k + 1 < job.depth ? lanes : 0, source + job.stride), power), second);
      unsigned char* row = out + k / kProductDepth * kProductBlockBytes + k % kProductDepth / 2 * 64;
      for (int plane = 0; plane < kProductPlanes; ++plane) {
        const __m512i pair = _mm512_or_si512(_mm512_cvtepu16_epi32(first[plane]),
                                             _mm512_slli_epi32(_mm512_cvtepu16_epi32(second[plane]), 16));
        _mm512_storeu_si512(row + plane * kPlaneBytes, pair);
      }
    }
  }
  return finite;
}

template <int Plane>
static inline __attribute__((always_inline)) void load_a(const unsigned char* block) {
  _tile_loadd(4, block + Plane * kPlaneBytes, 64);
  _tile_loadd(5, block + Plane * kPlaneBytes + kTileBytes, 64);
}

template <int Plane>
static inline __attribute__((always_inline)) void load_b(const unsigned char* block) {
  _tile_loadd(6, block + Plane * kPlaneBytes, 64);
  _tile_loadd(7, block + Plane * kPlaneBytes + kTileBytes, 64);
}

static inline __attribute__((always_inline)) void add_products() {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

// The six largest products of planes, in an order that loads few tiles twice.
static inline __attribute__((always_inline)) void add_block(const unsigned char* a, const unsigned char* b) {
  load_a<2>(a);
  load_b<0>(b);
  add_products();
  load_a<0>(a);
  add_products();
  load_b<2>(b);
  add_products();
  load_b<1>(b);
  add_products();
  load_a<1>(a);
  add_products();
  load_b<0>(b);
  add_products();
}

// A tile of out.
struct ProductTile {
  float* out;
  const float* a_exponent;
  const float* b_exponent;
  const float* bias;  // of its columns, or null
  int n_rows;
  int n_columns;
};

// What is left to do with the sums of a run of blocks. The tile registers are busy for as long as their next sums take,
// so that it is done a few rows at a time between the products of the next run.
struct Rest {
  const float* sums;
  float* total;  // of the runs of the tile before this one, or null
  bool is_last;  // of the tile: its rows are complete
  ProductTile tile;
  int row;
  int n_rows;
};

static inline __attribute__((always_inline)) void write_row(const ProductBlock& block, const Rest& rest) {
  const ProductTile& tile = rest.tile;
  const __m512 row_power = _mm512_set1_ps(tile.a_exponent[rest.row]);
  const int place = rest.row * kProductPanel;
  for (int first = 0; first < tile.n_columns; first += 16) {
    const __mmask16 lanes = first_lanes(tile.n_columns - first);
    const __m512 power = _mm512_add_ps(row_power, _mm512_loadu_ps(tile.b_exponent + first));
    __m512 v = _mm512_load_ps(rest.sums + place + first);
    if (rest.total) v = _mm512_add_ps(_mm512_load_ps(rest.total + place + first), v);
    v = _mm512_scalef_ps(v, power);
    if (tile.bias) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(lanes, tile.bias + first));
    float* out = tile.out + rest.row * block.out_stride + first;
    if (block.past_cache && lanes == 0xffff && reinterpret_cast<uintptr_t>(out) % 64 == 0) {
      _mm512_stream_ps(out, v);
    } else {
      _mm512_mask_storeu_ps(out, lanes, v);
    }
  }
}

static inline __attribute__((always_inline)) void add_row(const Rest& rest) {
  const int place = rest.row * kProductPanel;
  for (int first = place; first < place + kProductPanel; first += 16) {
    const __m512 sum = _mm512_add_ps(_mm512_load_ps(rest.total + first), _mm512_load_ps(rest.sums + first));
    _mm512_store_ps(rest.total + first, sum);
  }
}

static inline __attribute__((always_inline)) void finish_rows(const ProductBlock& block, Rest& rest, int n) {
  for (; n > 0 && rest.row < rest.n_rows; --n, ++rest.row) {
    if (rest.is_last) {
      write_row(block, rest);
    } else {
      add_row(rest);
    }
  }
}

// Of a run of blocks, from zero: the error of a sum grows with its length.
static inline __attribute__((always_inline)) void add_blocks(const ProductBlock& block, const unsigned char* a,
                                                             const unsigned char* b, int n_blocks, float* sums,
                                                             Rest& rest) {
  const int rows_each = (kProductPanel + n_blocks - 1) / n_blocks;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int k = 0; k < n_blocks; ++k) {
    add_block(a + k * kProductBlockBytes, b + k * kProductBlockBytes);
    finish_rows(block, rest, rows_each);
  }
  constexpr int64_t kRowBytes = kProductPanel * sizeof(float);
  _tile_stored(0, sums, kRowBytes);
  _tile_stored(1, sums + 16, kRowBytes);
  _tile_stored(2, sums + 16 * kProductPanel, kRowBytes);
  _tile_stored(3, sums + 16 * kProductPanel + 16, kRowBytes);
}

// Of n rows or columns from `first` on, those in one panel.
static inline int in_panel(int64_t n, int64_t first) {
  return n - first < kProductPanel ? static_cast<int>(n - first) : kProductPanel;
}

static ProductTile tile_at(const ProductBlock& block, int64_t row, int64_t column) {
  return {block.out + row * block.out_stride + column, block.a_exponent + row,      block.b_exponent + column,
          block.bias ? block.bias + column : nullptr,  in_panel(block.n_rows, row), in_panel(block.n_columns, column)};
}

// Two of each: while one is filled, the other is read.
struct Sums {
  alignas(64) float first_run[2][kTileSums];
  alignas(64) float further[2][kTileSums];
};

static void multiply_tile(const ProductBlock& block, int64_t row, int64_t column, float* first_run, Sums& sums,
                          Rest& rest) {
  const int64_t panel = block.n_blocks * kProductBlockBytes;
  const ProductTile tile = tile_at(block, row, column);
  const unsigned char* a = block.a + row / kProductPanel * panel;
  const unsigned char* b = block.b + column / kProductPanel * panel;
  for (int64_t k = 0; k < block.n_blocks; k += kSumBlocks) {
    const bool is_last = block.n_blocks - k <= kSumBlocks;
    const int n = static_cast<int>(is_last ? block.n_blocks - k : kSumBlocks);
    float* run = k ? sums.further[k / kSumBlocks % 2] : first_run;
    add_blocks(block, a + k * kProductBlockBytes, b + k * kProductBlockBytes, n, run, rest);
    const int n_rows = is_last ? tile.n_rows : k ? kProductPanel : 0;  // a first run is the total as it is
    rest = {run, k ? first_run : nullptr, is_last, tile, 0, n_rows};
  }
}

static void multiply(const ProductBlock& block) {
  Sums sums;
  Rest rest{};
  int turn = 0;
  for (int64_t column = 0; column < block.n_columns; column += kProductPanel) {
    for (int64_t row = 0; row < block.n_rows; row += kProductPanel, turn ^= 1) {
      multiply_tile(block, row, column, sums.first_run[turn], sums, rest);
    }
  }
  finish_rows(block, rest, kProductPanel);
}

static void end_product(const unsigned char (&saved)[kTileConfigBytes]) {
  _mm_sfence();  // others may read what went past the cache
  end_tiles(saved);
}

constexpr ProductOps kTiledProductOps = {pack_rows, pack_columns, pack_transposed, multiply, begin_tiles, end_product};

constexpr const ProductOps* kProductOps = &kTiledProductOps;
