// Single elements of any dtype, for code that is not worth an inner loop. Not for the instruction-set units.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "view.h"

namespace lswag {

inline double half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const int fraction = bits & 0x3ff;
  double magnitude = std::ldexp(exponent ? fraction + 0x400 : fraction, (exponent ? exponent : 1) - 25);
  if (exponent == 0x1f) magnitude = fraction ? NAN : INFINITY;
  return bits & 0x8000 ? -magnitude : magnitude;
}

inline double bfloat16_value(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

inline double read_element(const View& view, int64_t offset) {
  const void* p = at(view, offset);
  switch (view.dtype) {
    case DType::f32:
      return *static_cast<const float*>(p);
    case DType::f64:
      return *static_cast<const double*>(p);
    case DType::bf16:
      return bfloat16_value(*static_cast<const uint16_t*>(p));
    case DType::f16:
      return half_value(*static_cast<const uint16_t*>(p));
  }
  return 0;
}

}  // namespace lswag
