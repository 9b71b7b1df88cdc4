// Which instruction set the kernels use: the best the machine has, unless LSWAG_ISA or set_isa names another.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace lswag {

struct KernelTable;

// An instruction set was asked for that is unknown, not in this build, or not in this machine.
struct IsaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::vector<std::string> isa_compiled();  // in this build, best first
std::vector<std::string> isa_list();      // usable here, best first
std::string isa_active();

// Whether this machine multiplies bfloat16 by instructions of its own (AVX512_BF16 or AMX), and the active set may use
// them.
bool has_bfloat16();

// Overrides LSWAG_ISA for the process; an empty name gives the choice back to it.
void set_isa(const std::string& name);

// The inner loops of the active set. Reads LSWAG_ISA at each call.
const KernelTable& active_kernels();

// The inner loops of the named set; throws IsaError.
const KernelTable& kernels_named(const std::string& name);

}  // namespace lswag
