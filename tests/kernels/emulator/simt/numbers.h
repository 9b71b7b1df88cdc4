// The number formats of the device, in plain C++.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace simt {

struct Bf16 {
  uint16_t bits;
};

struct Half {
  uint16_t bits;
};

inline float float_of_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t bits_of_float(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float to_float(Bf16 value) { return float_of_bits(uint32_t{value.bits} << 16); }

inline float to_float(Half value) {
  const int exponent = value.bits >> 10 & 0x1f;
  const int fraction = value.bits & 0x3ff;
  float magnitude =
      std::ldexp(static_cast<float>(exponent ? fraction + 0x400 : fraction), (exponent ? exponent : 1) - 25);
  if (exponent == 0x1f) magnitude = fraction ? NAN : INFINITY;
  return value.bits & 0x8000 ? -magnitude : magnitude;
}

// Rounds to the 10 bits of mantissa that TF32 keeps, ties away from zero.
inline uint32_t to_tf32(float value) {
  const uint32_t bits = bits_of_float(value);
  return std::isfinite(value) ? (bits + 0x1000) & ~uint32_t{0x1fff} : bits;
}

inline float fused_multiply_add(float a, float b, float c) { return std::fma(a, b, c); }
inline double fused_multiply_add(double a, double b, double c) { return std::fma(a, b, c); }
inline int count_bits(uint64_t word) { return __builtin_popcountll(word); }

}  // namespace simt
