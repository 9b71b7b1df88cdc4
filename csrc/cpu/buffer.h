// Memory of a kernel, and of one of its threads.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace lswag {

// Memory that begins on a cache line.
template <class T>
class Buffer {
 public:
  void allocate(int64_t n) { data_.reset(static_cast<T*>(operator new(sizeof(T) * n, kCacheLine))); }
  T* get() { return data_.get(); }

 private:
  static constexpr std::align_val_t kCacheLine{64};
  struct Free {
    void operator()(T* p) const { operator delete(p, kCacheLine); }
  };
  std::unique_ptr<T, Free> data_;
};

// Of the calling thread, in its team.
inline int thread_number() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

}  // namespace lswag
