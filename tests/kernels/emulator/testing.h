// The little that the C++ tests need: checks that name their place, seeded random numbers, and running a kernel with
// each of its lines changed in turn.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "simt/fault.h"
#include "simt/machine.h"
#include "simt/memory.h"
#include "view.h"

namespace testing {

// A test that fails goes on; `finish` gives the exit code of the program.
void check(bool holds, const std::string& what);
int finish(const char* name);

// Runs a test under several seeds of the emulator.
void for_each_seed(const std::function<void(uint64_t seed)>& test);

// A run of a kernel on small, fixed input; true if the result is right.
using Run = std::function<bool()>;

// Every barrier and wait that the runs pass is deleted in turn, and every line's indices shifted by one: each of these
// must end in a fault or a wrong result in some run, under some seed.
void check_mutants(const std::string& kernel, const std::vector<Run>& runs);

using Random = std::mt19937_64;

// A tensor on the heap: values of any dtype in a strided view whose holes are NaN.
class Tensor {
 public:
  // Sizes, and for each axis how many elements of memory lie between neighbours beyond what is needed (`gap`).
  Tensor(lswag::DType dtype, std::vector<int64_t> size, std::vector<int> axis_order = {}, int64_t gap = 0);

  const lswag::View& view() const { return view_; }
  double get(const std::vector<int64_t>& index) const;
  void set(const std::vector<int64_t>& index, double value);  // rounded to the dtype
  void fill_normal(Random& random, double scale = 1);
  // Visits the indices in row-major order.
  void for_each(const std::function<void(const std::vector<int64_t>&)>& visit) const;

 private:
  int64_t offset(const std::vector<int64_t>& index) const;

  struct alignas(16) Block {  // torch aligns what it allocates at least so
    char bytes[16];
  };

  std::vector<Block> memory_;
  std::optional<simt::Allocation> allocation_;
  lswag::View view_;
};

extern const std::vector<lswag::DType> kDTypes;
std::string name(lswag::DType dtype);

}  // namespace testing
