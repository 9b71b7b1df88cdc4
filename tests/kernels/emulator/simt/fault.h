// What the emulator reports, where in a kernel it happened, and the faults that tests put into kernels on purpose.
#pragma once

#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>

namespace simt {

// A kernel did what is undefined or wrong on a GPU.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A line of a kernel. File names are literals, so their addresses tell them apart within one program.
struct Site {
  const char* file = nullptr;
  int line = 0;

  bool operator==(const Site& other) const { return line == other.line && file == other.file; }
  bool operator<(const Site& other) const { return std::tie(file, line) < std::tie(other.file, other.line); }
  std::string text() const { return std::string(file) + ":" + std::to_string(line); }
};

// An index and the line that it stands on: the default arguments are evaluated where a kernel writes array[i].
struct Index {
  int64_t value;
  Site site;

  Index(int64_t value, const char* file = __builtin_FILE(), int line = __builtin_LINE())
      : value(value), site{file, line} {}
};

enum class Mutation { none, drop_barrier, drop_wait, shift_index };

// One line of a kernel changed: its barrier or wait does nothing, or its indices are one too high.
struct Mutant {
  Mutation kind = Mutation::none;
  Site site;

  bool hits(Mutation what, const Site& where) const { return kind == what && site == where; }
};

// The lines that a launch passed through, by the mutation that could be made there.
using Sites = std::set<std::pair<Mutation, Site>>;

}  // namespace simt
