// What was compiled, and what the driver at hand can run.
#include <cuda_runtime.h>

#include <string>

#include "kernels.h"

namespace lswag {
namespace cuda {

Build build() {
  return {std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10),
          LSWAG_CUDA_ARCHITECTURES};
}

int driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

}  // namespace cuda
}  // namespace lswag
