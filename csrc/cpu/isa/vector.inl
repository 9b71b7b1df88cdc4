// Vectors of the unit's width, with the GNU vector extensions of GCC and Clang: arithmetic works element by element.

// Elements of two vectors of four, by index: 0-3 from the first, 4-7 from the second.
#if defined(__clang__) || __GNUC__ >= 12
#define LSWAG_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define LSWAG_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, typename Four<T>::Index{i, j, k, l})
#endif

template <class T>
struct Wide;

template <>
struct Wide<float> {
  typedef float V __attribute__((vector_size(LSWAG_VECTOR_BYTES)));
  typedef float Unaligned __attribute__((vector_size(LSWAG_VECTOR_BYTES), aligned(4), may_alias));
  typedef int32_t Bits __attribute__((vector_size(LSWAG_VECTOR_BYTES)));
  static constexpr int32_t kMagnitude = 0x7fffffff;
};

template <>
struct Wide<double> {
  typedef double V __attribute__((vector_size(LSWAG_VECTOR_BYTES)));
  typedef double Unaligned __attribute__((vector_size(LSWAG_VECTOR_BYTES), aligned(8), may_alias));
  typedef int64_t Bits __attribute__((vector_size(LSWAG_VECTOR_BYTES)));
  static constexpr int64_t kMagnitude = 0x7fffffffffffffff;
};

template <class T>
using Vec = typename Wide<T>::V;

template <class T>
constexpr int kLanes = LSWAG_VECTOR_BYTES / static_cast<int>(sizeof(T));

template <class T>
static inline __attribute__((always_inline)) Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename Wide<T>::Unaligned*>(p);
}

template <class T>
static inline __attribute__((always_inline)) void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename Wide<T>::Unaligned*>(p) = v;
}

template <class T>
static inline __attribute__((always_inline)) Vec<T> splat(T value) {
  return value - Vec<T>{};
}

template <class T>
struct Four;

template <>
struct Four<float> {
  typedef float V __attribute__((vector_size(16)));
  typedef float Unaligned __attribute__((vector_size(16), aligned(4), may_alias));
  typedef int32_t Index __attribute__((vector_size(16)));
};

template <>
struct Four<double> {
  typedef double V __attribute__((vector_size(32)));
  typedef double Unaligned __attribute__((vector_size(32), aligned(8), may_alias));
  typedef int64_t Index __attribute__((vector_size(32)));
};
