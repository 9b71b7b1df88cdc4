#include "cpu/isa/kernel_table.h"
#include "kernels.h"

namespace lswag {

double fma_loop(const std::string& isa, int64_t n_iterations, int n_threads) {
  const KernelTable& table = kernels_named(isa);
  double operations = 0;
#pragma omp parallel num_threads(n_threads) reduction(+ : operations)
  {
    float sink = 0;
    operations += table.fma_loop(n_iterations, &sink);
  }
  return operations;
}

}  // namespace lswag
