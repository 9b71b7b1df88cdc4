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

// 4 features x 4 positions, contiguous along positions, to 4 positions x 4 features, each position to a place of its
// own.
template <class T, class From>
static inline __attribute__((always_inline)) void transpose_four(const From* source, int64_t feature_stride,
                                                                 T* const* places, int64_t feature, T scale) {
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
  *reinterpret_cast<U*>(places[0] + feature) = LSWAG_SHUFFLE(ab_low, cd_low, 0, 1, 4, 5);
  *reinterpret_cast<U*>(places[1] + feature) = LSWAG_SHUFFLE(ab_low, cd_low, 2, 3, 6, 7);
  *reinterpret_cast<U*>(places[2] + feature) = LSWAG_SHUFFLE(ab_high, cd_high, 0, 1, 4, 5);
  *reinterpret_cast<U*>(places[3] + feature) = LSWAG_SHUFFLE(ab_high, cd_high, 2, 3, 6, 7);
}

// Where the positions of the lines go, one after the other.
template <class T>
class Places {
 public:
  Places(const PackJob<T>& job, T* out)
      : place_(out),
        left_(job.n_positions),
        n_positions_(job.n_positions),
        pitch_(job.position_pitch),
        line_step_(job.line_pitch - (job.n_positions - 1) * job.position_pitch) {}

  inline T* next() {
    T* place = place_;
    const bool ends = --left_ == 0;
    place_ += ends ? line_step_ : pitch_;
    left_ = ends ? n_positions_ : left_;
    return place;
  }

 private:
  T* place_;
  int64_t left_;  // of the line
  int64_t n_positions_;
  int64_t pitch_;
  int64_t line_step_;  // from the last position of a line to the first of the next
};

constexpr int64_t kBlock = 16;  // positions that are transposed together

// One panel of one job: `source` is its first feature, `width` its number of features.
template <class T, class From>
struct Panel {
  const PackJob<T>& job;
  const From* source;
  int64_t width;
  T* out;

  const From* position(int64_t line, int64_t p) const {
    return source + line * job.line_stride + p * job.position_stride;
  }

  // The features from `first` on.
  void gather(int64_t first) const {
    const T scale = job.scale;
    Places<T> places(job, out);
    for (int64_t line = 0; line < job.n_lines; ++line) {
      for (int64_t p = 0; p < job.n_positions; ++p) {
        const From* from = position(line, p);
        T* to = places.next();
        for (int64_t f = first; f < width; ++f) {
          to[f] = static_cast<T>(Element<From>::read(from + f * job.feature_stride)) * scale;
        }
      }
    }
  }

  void copy_rows() const {
    const T scale = job.scale;  // a local, since the compiler cannot know that `to` does not overwrite the job
    Places<T> places(job, out);
    for (int64_t line = 0; line < job.n_lines; ++line) {
      for (int64_t p = 0; p < job.n_positions; ++p) {
        const From* from = position(line, p);
        T* to = places.next();
        for (int64_t f = 0; f < width; ++f) to[f] = static_cast<T>(Element<From>::read(from + f)) * scale;
      }
    }
  }

  // n positions side by side of the first `whole_features` features, a multiple of 4. A few features at a time, each of
  // them read along its positions, since the processor follows only so many streams; for so many positions that what
  // is written stays in the first-level cache.
  void transpose(const From* from, int64_t n, int64_t whole_features, T* to) const {
    constexpr int64_t kStreams = 16;
    constexpr int64_t kCached = (1 << 15) / sizeof(T);  // elements
    const int64_t in_cache = kCached / job.position_pitch / kBlock * kBlock;
    const int64_t n_chunk = in_cache > kBlock ? in_cache : kBlock;
    Places<T> places(job, to);
    for (int64_t p = 0; p < n; p += n_chunk) {
      const int64_t n_here = n - p < n_chunk ? n - p : n_chunk;
      Places<T> next = places;
      for (int64_t f = 0; f < whole_features; f += kStreams) {
        const int64_t n_features = whole_features - f < kStreams ? whole_features - f : kStreams;
        next = transpose_features(from + f * job.feature_stride + p, n_here, f, n_features, places);
      }
      places = next;
    }
  }

  // Features `first` and following of n positions to `places`; returns where those after them go.
  Places<T> transpose_features(const From* from, int64_t n, int64_t first, int64_t n_features, Places<T> places) const {
    constexpr int64_t kAhead = 64;  // positions; the streams are too short for the processor to run far ahead
    for (int64_t p = 0; p < n; p += kBlock, from += kBlock) {
      const int64_t n_block = n - p < kBlock ? n - p : kBlock;
      const int64_t whole = n_block / 4 * 4;
      T* to[kBlock];
      for (int64_t k = 0; k < n_block; ++k) to[k] = places.next() + first;
      for (int64_t f = 0; f < n_features; ++f) __builtin_prefetch(from + f * job.feature_stride + kAhead, 0, 3);
      for (int64_t f = 0; f < n_features; f += 4) {
        const From* four = from + f * job.feature_stride;
        for (int64_t k = 0; k < whole; k += 4) {
          transpose_four<T, From>(four + k, job.feature_stride, to + k, f, job.scale);
        }
        for (int64_t k = whole; k < n_block; ++k) {
          for (int64_t i = 0; i < 4; ++i) {
            to[k][f + i] = static_cast<T>(Element<From>::read(four + i * job.feature_stride + k)) * job.scale;
          }
        }
      }
    }
    return places;
  }

  void transpose_lines() const {
    const int64_t whole_features = width / 4 * 4;
    if (job.line_stride == job.n_positions) {
      transpose(source, job.n_lines * job.n_positions, whole_features, out);
    } else {
      for (int64_t line = 0; line < job.n_lines; ++line) {
        transpose(position(line, 0), job.n_positions, whole_features, out + line * job.line_pitch);
      }
    }
    if (whole_features < width) gather(whole_features);
  }

  void fill_up() const {
    Places<T> places(job, out);
    for (int64_t k = 0; k < job.n_lines * job.n_positions; ++k) {
      T* to = places.next();
      for (int64_t f = width; f < job.panel_width; ++f) to[f] = 0;
    }
  }

  void copy() const {
    if (job.feature_stride == 1) {
      copy_rows();
    } else if (job.position_stride == 1) {
      transpose_lines();
    } else {
      gather(0);
    }
    if (width < job.panel_width) fill_up();
  }
};

// Of one panel, each position lies on cache lines of its own, far from the last one's: the processor does not fetch
// those by itself.
constexpr int64_t kPositionsAhead = 16;

template <int Width, class From>
static inline __attribute__((always_inline)) void fetch(const From* from) {
  constexpr int kLine = 64 / sizeof(From);
  for (int f = 0; f < Width; f += kLine) __builtin_prefetch(from + f, 0, 3);  // never faults
}

// Whole panels of contiguous features: positions outside, so that the source is read straight through.
template <class T, class From, int Width>
static void pack_whole_panels(const PackJob<T>& job, int64_t n_panels) {
  const T scale = job.scale;
  Places<T> places(job, job.out);
  for (int64_t line = 0; line < job.n_lines; ++line) {
    for (int64_t p = 0; p < job.n_positions; ++p) {
      const From* from = static_cast<const From*>(job.source) + line * job.line_stride + p * job.position_stride;
      T* to = places.next();
      if (n_panels == 1) fetch<Width>(from + kPositionsAhead * job.position_stride);
      for (int64_t panel = 0; panel < n_panels; ++panel, from += Width, to += job.panel_pitch) {
        for (int f = 0; f < Width; ++f) to[f] = static_cast<T>(Element<From>::read(from + f)) * scale;
      }
    }
  }
}

template <class T, class From, int kSlice, int kTile>
static void pack_from(const PackJob<T>& job) {
  int64_t first = 0;
  if (job.feature_stride == 1 && (job.panel_width == kSlice || job.panel_width == kTile)) {
    const int64_t n_panels = job.n_features / job.panel_width;
    first = n_panels * job.panel_width;
    if (job.panel_width == kSlice) {
      pack_whole_panels<T, From, kSlice>(job, n_panels);
    } else {
      pack_whole_panels<T, From, kTile>(job, n_panels);
    }
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
