// What simt.h maps to under nvcc. Each name is explained in tests/kernels/emulator/simt/, which gives it a meaning on
// the host.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "cuda/simt/runtime_check.h"

#define SIMT_DEVICE __device__ __forceinline__
#define SIMT_HOST_DEVICE __host__ __device__ __forceinline__
#define SIMT_UNROLL _Pragma("unroll")
#define SIMT_UNROLL_4 _Pragma("unroll 4")
#define SIMT_SHARED(type, name, n)                \
  __shared__ __align__(16) type name##_memory[n]; \
  const simt::Shared<type> name(name##_memory)

namespace simt {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

using Stream = cudaStream_t;
using Word = unsigned long long;

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

struct Bf16 {
  uint16_t bits;
};

struct Half {
  uint16_t bits;
};

template <class T>
class Shared {
 public:
  SIMT_DEVICE explicit Shared(T* data) : data_(data) {}
  SIMT_DEVICE T& operator[](int64_t i) const { return data_[i]; }
  SIMT_HOST_DEVICE T* address(int64_t i) const { return data_ + i; }

 private:
  T* data_;
};

// The extent is known to the emulator only.
template <class T>
class Global {
 public:
  Global() = default;
  SIMT_HOST_DEVICE Global(T* data, int64_t) : data_(data) {}
  SIMT_HOST_DEVICE Global(T* data, int64_t, int64_t) : data_(data) {}
  SIMT_DEVICE T& operator[](int64_t i) const { return data_[i]; }
  SIMT_HOST_DEVICE T* address(int64_t i) const { return data_ + i; }

 private:
  T* data_ = nullptr;
};

SIMT_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
SIMT_DEVICE int lane_index() { return thread_index() % kWarp; }
SIMT_DEVICE int warp_index() { return thread_index() / kWarp; }
SIMT_DEVICE Dim block_index() { return {blockIdx.x, blockIdx.y, blockIdx.z}; }

SIMT_DEVICE void sync_threads() { __syncthreads(); }
SIMT_DEVICE void sync_warp() { __syncwarp(); }
SIMT_DEVICE uint32_t ballot(bool predicate) { return __ballot_sync(kAllLanes, predicate); }

template <class T>
SIMT_DEVICE T shuffle_down(T value, int delta) {
  return __shfl_down_sync(kAllLanes, value, delta);
}

SIMT_DEVICE Word atomic_load(const Global<Word>& memory, int64_t i) {
  return *static_cast<volatile Word*>(memory.address(i));
}

SIMT_DEVICE Word atomic_compare_swap(const Global<Word>& memory, int64_t i, Word expected, Word desired) {
  return atomicCAS(memory.address(i), expected, desired);
}

SIMT_DEVICE void atomic_add(const Global<Word>& memory, int64_t i, Word value) { atomicAdd(memory.address(i), value); }

// Each thread's writes are made visible before its block is counted, and the last block reads after it has counted all.
SIMT_DEVICE bool is_last_block(const Global<Word>& counter, int64_t n_blocks) {
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (thread_index() == 0) is_last = atomicAdd(counter.address(0), Word{1}) + 1 == static_cast<Word>(n_blocks);
  __syncthreads();
  __threadfence();
  return is_last;
}

template <int N, class T>
SIMT_DEVICE void copy_async(const Shared<T>& to, int64_t at, const Global<const T>& from, int64_t source, int n_valid) {
  constexpr int kBytes = N * static_cast<int>(sizeof(T));
  const unsigned target = static_cast<unsigned>(__cvta_generic_to_shared(to.address(at)));
  const int n_bytes = n_valid * static_cast<int>(sizeof(T));
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(from.address(source)), "r"(n_bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(target), "l"(from.address(source)), "n"(kBytes),
                 "r"(n_bytes)
                 : "memory");
  }
}

SIMT_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
SIMT_DEVICE void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

template <int N, class T>
SIMT_DEVICE void load_vector(const Shared<T>& memory, int64_t i, T* out) {
  struct alignas(N * sizeof(T)) Vector {
    T values[N];
  };
  const Vector vector = *reinterpret_cast<const Vector*>(memory.address(i));
  SIMT_UNROLL for (int k = 0; k < N; ++k) out[k] = vector.values[k];
}

template <class T>
SIMT_DEVICE void load_matrices_transposed(const Shared<T>& memory, int64_t row, uint32_t (&out)[4]) {
  const unsigned source = static_cast<unsigned>(__cvta_generic_to_shared(memory.address(row)));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(source)
               : "memory");
}

#define LSWAG_MMA(shape_and_types)                                                                                    \
  asm volatile("mma.sync.aligned." shape_and_types " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                       \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))

template <class T>
SIMT_DEVICE void multiply_matrices(float* c, const uint32_t (&a)[4], const uint32_t (&b)[2]);

template <>
SIMT_DEVICE void multiply_matrices<Bf16>(float* c, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  LSWAG_MMA("m16n8k16.row.col.f32.bf16.bf16.f32");
}

template <>
SIMT_DEVICE void multiply_matrices<Half>(float* c, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  LSWAG_MMA("m16n8k16.row.col.f32.f16.f16.f32");
}

SIMT_DEVICE void multiply_matrices_tf32(float* c, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  LSWAG_MMA("m16n8k8.row.col.f32.tf32.tf32.f32");
}

#undef LSWAG_MMA

SIMT_DEVICE float float_of_bits(uint32_t bits) { return __uint_as_float(bits); }
SIMT_DEVICE uint32_t bits_of_float(float value) { return __float_as_uint(value); }
SIMT_DEVICE float to_float(Bf16 value) { return float_of_bits(uint32_t{value.bits} << 16); }
SIMT_DEVICE float to_float(Half value) { return __half2float(__ushort_as_half(value.bits)); }
SIMT_DEVICE float fused_multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
SIMT_DEVICE double fused_multiply_add(double a, double b, double c) { return __fma_rn(a, b, c); }
SIMT_DEVICE int count_bits(uint64_t word) { return __popcll(word); }

SIMT_DEVICE uint32_t to_tf32(float value) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
}

// Blocks that a multiprocessor holds at a time, where a kernel asks for a number: it bounds the registers.
template <class Kernel, class = void>
constexpr int kBlocksAtOnce = 1;
template <class Kernel>
constexpr int kBlocksAtOnce<Kernel, std::void_t<decltype(Kernel::kMinBlocks)>> = Kernel::kMinBlocks;

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, kBlocksAtOnce<Kernel>) run(const __grid_constant__ Kernel kernel) {
  kernel();
}

template <class Kernel>
void launch(const Kernel& kernel, Dim grid, Stream stream) {
  run<Kernel><<<dim3(grid.x, grid.y, grid.z), Kernel::kThreads, 0, stream>>>(kernel);
  lswag::cuda::check(cudaGetLastError(), "a kernel launch");
}

inline void set_zero(void* memory, int64_t n_bytes, Stream stream) {
  lswag::cuda::check(cudaMemsetAsync(memory, 0, n_bytes, stream), "clearing memory");
}

// Makes a device the current one for as long as it lives.
class DeviceScope {
 public:
  explicit DeviceScope(int device) {
    lswag::cuda::check(cudaGetDevice(&before_), "asking for the current device");
    if (device != before_) lswag::cuda::check(cudaSetDevice(device), "choosing a device");
  }
  ~DeviceScope() { cudaSetDevice(before_); }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int before_ = 0;
};

}  // namespace simt
