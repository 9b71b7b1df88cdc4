// Operations in which the 32 lanes of a warp take part together.
#pragma once

#include <cstdint>
#include <cstring>

#include "simt/memory.h"
#include "simt/numbers.h"

namespace simt {

// Orders the accesses of a warp's lanes to memory.
inline void sync_warp(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  Machine& machine = Machine::instance();
  if (machine.mutated(Mutation::drop_barrier, Site{file, line})) return;
  machine.meet(Site{file, line}, nullptr, [](void**) { Machine::instance().end_warp_epoch(); });
}

// A bit for each lane whose predicate holds.
inline uint32_t ballot(bool predicate, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  struct Slot {
    bool predicate;
    uint32_t result;
  } slot{predicate, 0};
  Machine::instance().meet(Site{file, line}, &slot, [](void** slots) {
    uint32_t bits = 0;
    for (int lane = 0; lane < kWarp; ++lane) bits |= uint32_t{static_cast<Slot*>(slots[lane])->predicate} << lane;
    for (int lane = 0; lane < kWarp; ++lane) static_cast<Slot*>(slots[lane])->result = bits;
  });
  return slot.result;
}

// The value of the lane `delta` further on; a lane's own where there is none.
template <class T>
T shuffle_down(T value, int delta, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  struct Slot {
    T value;
    int delta;
    T result;
  } slot{value, delta, value};
  Machine::instance().meet(Site{file, line}, &slot, [](void** slots) {
    for (int lane = 0; lane < kWarp; ++lane) {
      Slot& mine = *static_cast<Slot*>(slots[lane]);
      if (lane + mine.delta < kWarp) mine.result = static_cast<Slot*>(slots[lane + mine.delta])->value;
    }
  });
  return slot.result;
}

// Four 8 x 8 matrices of 16-bit elements, transposed. Lane 8 m + r says where row r of matrix m begins; lane l receives
// of each matrix the elements of rows 2 (l % 4) and 2 (l % 4) + 1 in column l / 4.
template <class T>
void load_matrices_transposed(const Shared<T>& memory, Index row, uint32_t (&out)[4]) {
  struct Slot {
    T rows[8];
    uint32_t result[4];
  } slot{};
  const int64_t first = position(row);
  if (first % 8) Machine::instance().fault("a row of a matrix is not aligned to 16 bytes", row.site);
  for (int k = 0; k < 8; ++k) slot.rows[k] = memory.at(first + k, row.site);
  Machine::instance().meet(row.site, &slot, [](void** slots) {
    for (int lane = 0; lane < kWarp; ++lane) {
      for (int m = 0; m < 4; ++m) {
        uint32_t pair = 0;
        for (int half = 0; half < 2; ++half) {
          const Slot& source = *static_cast<Slot*>(slots[8 * m + 2 * (lane % 4) + half]);
          pair |= uint32_t{source.rows[lane / 4].bits} << (16 * half);
        }
        static_cast<Slot*>(slots[lane])->result[m] = pair;
      }
    }
  });
  std::memcpy(out, slot.result, sizeof out);
}

// What every lane brings to a matrix product: fragments of A (16 x K) and B (K x 8), and its part of C (16 x 8).
struct MatrixSlot {
  const uint32_t* a;
  const uint32_t* b;
  float* c;
};

// C += A B with A and B already read out of the fragments.
template <int K>
void add_product(void** slots, const double (&a)[16][K], const double (&b)[K][8]) {
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int j = 0; j < 4; ++j) {
      const int row = lane / 4 + (j / 2) * 8;
      const int column = lane % 4 * 2 + j % 2;
      float& c = static_cast<MatrixSlot*>(slots[lane])->c[j];
      double sum = c;
      for (int k = 0; k < K; ++k) sum += a[row][k] * b[k][column];
      c = static_cast<float>(sum);
    }
  }
}

// mma.m16n8k16 of bfloat16 or float16 with float accumulators.
template <class T>
void multiply_matrices(float* c, const uint32_t (&a)[4], const uint32_t (&b)[2], const char* file = __builtin_FILE(),
                       int line = __builtin_LINE()) {
  MatrixSlot slot{a, b, c};
  Machine::instance().meet(Site{file, line}, &slot, [](void** slots) {
    double a_values[16][16], b_values[16][8];
    for (int lane = 0; lane < kWarp; ++lane) {
      const MatrixSlot& mine = *static_cast<MatrixSlot*>(slots[lane]);
      for (int half = 0; half < 2; ++half) {
        const int k = lane % 4 * 2 + half;
        for (int j = 0; j < 4; ++j) {
          const uint16_t bits = static_cast<uint16_t>(mine.a[j] >> (16 * half));
          a_values[lane / 4 + j % 2 * 8][k + j / 2 * 8] = to_float(T{bits});
        }
        for (int j = 0; j < 2; ++j) {
          const uint16_t bits = static_cast<uint16_t>(mine.b[j] >> (16 * half));
          b_values[k + j * 8][lane / 4] = to_float(T{bits});
        }
      }
    }
    add_product<16>(slots, a_values, b_values);
  });
}

// mma.m16n8k8 of TF32 with float accumulators.
inline void multiply_matrices_tf32(float* c, const uint32_t (&a)[4], const uint32_t (&b)[2],
                                   const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  MatrixSlot slot{a, b, c};
  Machine::instance().meet(Site{file, line}, &slot, [](void** slots) {
    double a_values[16][8], b_values[8][8];
    for (int lane = 0; lane < kWarp; ++lane) {
      const MatrixSlot& mine = *static_cast<MatrixSlot*>(slots[lane]);
      for (int j = 0; j < 4; ++j) a_values[lane / 4 + j % 2 * 8][lane % 4 + j / 2 * 4] = float_of_bits(mine.a[j]);
      for (int j = 0; j < 2; ++j) b_values[lane % 4 + j * 4][lane / 4] = float_of_bits(mine.b[j]);
    }
    add_product<8>(slots, a_values, b_values);
  });
}

}  // namespace simt
