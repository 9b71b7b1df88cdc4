// Which offsets from its first element a view may touch: what the checked arrays of the emulator hold accesses against.
#pragma once

#include <cstdint>

#include "view.h"

namespace lswag {
namespace cuda {

struct OffsetRange {
  int64_t begin = 0;
  int64_t end = 0;
};

inline OffsetRange offset_range(const View& view) {
  OffsetRange range{0, 1};
  for (int d = 0; d < view.ndim; ++d) {
    if (view.size[d] == 0) return {0, 0};
    const int64_t reach = (view.size[d] - 1) * view.stride[d];
    (reach < 0 ? range.begin : range.end) += reach;
  }
  return range;
}

}  // namespace cuda
}  // namespace lswag
