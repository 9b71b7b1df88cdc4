// Strided blocks of any dtype into panels of the compute type.

template <class From>
struct Element {
  static inline From read(const From* p) { return *p; }
};

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

static inline float float_from_bits(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

template <>
struct Element<BFloat16> {
  static inline float read(const BFloat16* p) { return float_from_bits(static_cast<uint32_t>(p->bits) << 16); }
};

// Without branches, so that loops over it become vector code: a product moves the exponent's bias (and makes subnormals
// normal), and infinities and NaNs then get the largest exponent.
template <>
struct Element<Float16> {
  static inline float read(const Float16* p) {
    constexpr float kRebias = 0x1p112f;
    const uint32_t bits = p->bits;
    const uint32_t special = (bits & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
    const float finite = float_from_bits((bits & 0x7fffu) << 13) * kRebias;
    uint32_t result;
    __builtin_memcpy(&result, &finite, sizeof result);
    return float_from_bits(result | special | (bits & 0x8000u) << 16);
  }
};

template <class T, class From>
struct LoadFour {
  static inline typename Four<T>::V load(const From* p) {
    return typename Four<T>::V{static_cast<T>(Element<From>::read(p)), static_cast<T>(Element<From>::read(p + 1)),
                               static_cast<T>(Element<From>::read(p + 2)), static_cast<T>(Element<From>::read(p + 3))};
  }
};

template <class T>
struct LoadFour<T, T> {
  static inline typename Four<T>::V load(const T* p) {
    return *reinterpret_cast<const typename Four<T>::Unaligned*>(p);
  }
};

// 4 features x 4 positions, contiguous along positions, to 4 positions x 4 features.
template <class T, class From>
static inline __attribute__((always_inline)) void transpose_four(const From* source, int64_t feature_stride, T* out,
                                                                 int64_t pitch, T scale) {
  using V = typename Four<T>::V;
  using U = typename Four<T>::Unaligned;
  const V a = LoadFour<T, From>::load(source) * scale;
  const V b = LoadFour<T, From>::load(source + feature_stride) * scale;
  const V c = LoadFour<T, From>::load(source + 2 * feature_stride) * scale;
  const V d = LoadFour<T, From>::load(source + 3 * feature_stride) * scale;
  const V ab_low = LSWAG_SHUFFLE(a, b, 0, 4, 1, 5);
  const V ab_high = LSWAG_SHUFFLE(a, b, 2, 6, 3, 7);
  const V cd_low = LSWAG_SHUFFLE(c, d, 0, 4, 1, 5);
  const V cd_high = LSWAG_SHUFFLE(c, d, 2, 6, 3, 7);
  *reinterpret_cast<U*>(out) = LSWAG_SHUFFLE(ab_low, cd_low, 0, 1, 4, 5);
  *reinterpret_cast<U*>(out + pitch) = LSWAG_SHUFFLE(ab_low, cd_low, 2, 3, 6, 7);
  *reinterpret_cast<U*>(out + 2 * pitch) = LSWAG_SHUFFLE(ab_high, cd_high, 0, 1, 4, 5);
  *reinterpret_cast<U*>(out + 3 * pitch) = LSWAG_SHUFFLE(ab_high, cd_high, 2, 3, 6, 7);
}

// One panel of one job: `source` is its first feature, `width` its number of features.
template <class T, class From>
struct Panel {
  const PackJob<T>& job;
  const From* source;
  int64_t width;
  T* out;

  inline void copy_element(int64_t p, int64_t f) const {
    const From* from = source + p * job.position_stride + f * job.feature_stride;
    out[p * job.position_pitch + f] = static_cast<T>(Element<From>::read(from)) * job.scale;
  }

  void gather(int64_t first_position, int64_t end_position, int64_t first_feature, int64_t end_feature) const {
    for (int64_t p = first_position; p < end_position; ++p) {
      for (int64_t f = first_feature; f < end_feature; ++f) copy_element(p, f);
    }
  }

  void copy_rows() const {
    const T scale = job.scale;  // a local, since the compiler cannot know that `to` does not overwrite the job
    for (int64_t p = 0; p < job.n_positions; ++p) {
      const From* from = source + p * job.position_stride;
      T* to = out + p * job.position_pitch;
      for (int64_t f = 0; f < width; ++f) to[f] = static_cast<T>(Element<From>::read(from + f)) * scale;
    }
  }

  // Features are far apart and often a power of two, so that few of them fit in the cache together: each cache line of
  // the source is used up (kLine positions) before the next feature group is read.
  void transpose() const {
    constexpr int64_t kLine = 16;
    const int64_t whole_features = width / 4 * 4;
    const int64_t whole_positions = job.n_positions / 4 * 4;
    for (int64_t p0 = 0; p0 < whole_positions; p0 += kLine) {
      const int64_t p1 = p0 + kLine < whole_positions ? p0 + kLine : whole_positions;
      for (int64_t f = 0; f < whole_features; f += 4) {
        for (int64_t p = p0; p < p1; p += 4) {
          transpose_four<T, From>(source + f * job.feature_stride + p, job.feature_stride,
                                  out + p * job.position_pitch + f, job.position_pitch, job.scale);
        }
      }
    }
    gather(0, whole_positions, whole_features, width);
    gather(whole_positions, job.n_positions, 0, width);
  }

  void fill_up() const {
    for (int64_t p = 0; p < job.n_positions; ++p) {
      for (int64_t f = width; f < job.panel_width; ++f) out[p * job.position_pitch + f] = 0;
    }
  }

  void copy() const {
    if (job.feature_stride == 1) {
      copy_rows();
    } else if (job.position_stride == 1) {
      transpose();
    } else {
      gather(0, job.n_positions, 0, width);
    }
    if (width < job.panel_width) fill_up();
  }
};

// Whole panels of contiguous features: positions outside, so that the source is read straight through.
template <class T, class From, int Width>
static void pack_whole_panels(const PackJob<T>& job, int64_t n_panels) {
  const T scale = job.scale;
  for (int64_t p = 0; p < job.n_positions; ++p) {
    const From* from = static_cast<const From*>(job.source) + p * job.position_stride;
    T* to = job.out + p * job.position_pitch;
    for (int64_t panel = 0; panel < n_panels; ++panel, from += Width, to += job.panel_pitch) {
      for (int f = 0; f < Width; ++f) to[f] = static_cast<T>(Element<From>::read(from + f)) * scale;
    }
  }
}

template <class T, class From, int kSlice, int kTile>
static void pack_from(const PackJob<T>& job) {
  int64_t first = 0;
  if (job.feature_stride == 1 && (job.panel_width == kSlice || job.panel_width == kTile)) {
    const int64_t n_panels = job.n_features / job.panel_width;
    first = n_panels * job.panel_width;
    if (job.panel_width == kSlice) pack_whole_panels<T, From, kSlice>(job, n_panels);
    if (job.panel_width == kTile) pack_whole_panels<T, From, kTile>(job, n_panels);
  }
  for (int64_t f = first; f < job.n_features; f += job.panel_width) {
    const int64_t left = job.n_features - f;
    const From* source = static_cast<const From*>(job.source) + f * job.feature_stride;
    T* out = job.out + f / job.panel_width * job.panel_pitch;
    Panel<T, From>{job, source, left < job.panel_width ? left : job.panel_width, out}.copy();
  }
}

template <class T>
static void pack(const PackJob<T>& job) {
  constexpr int kSlice = LSWAG_TILE_ROWS;
  constexpr int kTile = LSWAG_TILE_VECTORS * kLanes<T>;
  switch (job.dtype) {
    case DType::f32:
      return pack_from<T, float, kSlice, kTile>(job);
    case DType::f64:
      return pack_from<T, double, kSlice, kTile>(job);
    case DType::bf16:
      return pack_from<T, BFloat16, kSlice, kTile>(job);
    case DType::f16:
      return pack_from<T, Float16, kSlice, kTile>(job);
  }
}
