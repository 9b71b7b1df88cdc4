// Integer arithmetic that both devices share.
#pragma once

#include <cstdint>

#include "common/host_device.h"

namespace lswag {

constexpr int64_t kWordBits = 64;  // of a word of packed signs

LSWAG_HOST_DEVICE constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// First sample of a part, where n samples are cut into n_parts runs.
LSWAG_HOST_DEVICE constexpr int64_t part_begin(int64_t n_samples, int64_t n_parts, int64_t part) {
  return n_samples * part / n_parts;
}

}  // namespace lswag
