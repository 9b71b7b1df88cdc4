// From error codes of the CUDA runtime to exceptions.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "kernels.h"

namespace lswag {
namespace cuda {

inline void check(cudaError_t code, const char* doing) {
  if (code == cudaSuccess) return;
  throw CudaError(std::string(doing) + " failed: " + cudaGetErrorString(code) + " (" + cudaGetErrorName(code) + ")");
}

}  // namespace cuda
}  // namespace lswag
