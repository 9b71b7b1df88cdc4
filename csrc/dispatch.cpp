#include "dispatch.h"

#include <cstdlib>
#include <mutex>

#include "cpu/isa/kernel_table.h"

#ifdef LSWAG_AMX
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace lswag {
namespace {

std::mutex override_mutex;
std::string override_name;

#ifdef LSWAG_AMX
// Linux gives a process the registers of tiles when it asks for them.
bool may_use_tiles() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("amx-tile") &&
         __builtin_cpu_supports("amx-bf16") && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

#ifdef LSWAG_X86
// Intel's processors do dot products of bfloat16 at half the rate of float's multiply-adds, AMD's at the same, so that
// each does the work of two.
void add_avx512(std::vector<const KernelTable*>& found) {
  found.push_back(&avx512::table);
#ifdef LSWAG_AVX512_BF16
  if (!__builtin_cpu_supports("avx512bf16")) return;
  found.insert(__builtin_cpu_is("intel") ? found.end() : found.end() - 1, &avx512_bf16::table);
#endif
}
#endif

const std::vector<const KernelTable*>& usable_tables() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> found;
#ifdef LSWAG_X86
    // The builtin also asks whether the operating system saves the wide registers.
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                      __builtin_cpu_supports("popcnt");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#ifdef LSWAG_AMX
    if (avx512 && may_use_tiles()) found.push_back(&amx::table);
#endif
    if (avx512) add_avx512(found);
    if (avx2) found.push_back(&avx2::table);
#endif
#ifdef LSWAG_NEON
    found.push_back(&neon::table);
#endif
    found.push_back(&baseline::table);
    return found;
  }();
  return tables;
}

std::string requested_name() {
  {
    const std::lock_guard<std::mutex> lock(override_mutex);
    if (!override_name.empty()) return override_name;
  }
  const char* from_environment = std::getenv("LSWAG_ISA");
  return from_environment ? from_environment : "";
}

}  // namespace

const KernelTable& kernels_named(const std::string& name) {
  std::string known;
  for (const KernelTable* table : usable_tables()) {
    if (name == table->name) return *table;
    known += (known.empty() ? "" : ", ") + std::string(table->name);
  }
  throw IsaError("instruction set '" + name + "' is not available here; available: " + known);
}

std::vector<std::string> isa_compiled() {
  return {
#ifdef LSWAG_AMX
      amx::table.name,
#endif
#ifdef LSWAG_AVX512_BF16
      avx512_bf16::table.name,
#endif
#ifdef LSWAG_X86
      avx512::table.name,      avx2::table.name,
#endif
#ifdef LSWAG_NEON
      neon::table.name,
#endif
      baseline::table.name};
}

std::vector<std::string> isa_list() {
  std::vector<std::string> names;
  for (const KernelTable* table : usable_tables()) names.emplace_back(table->name);
  return names;
}

std::string isa_active() { return active_kernels().name; }

bool has_bfloat16() {
  const KernelTable& active = active_kernels();
#ifdef LSWAG_AMX
  if (&active == &amx::table || (&active == &avx512::table && __builtin_cpu_supports("amx-bf16"))) return true;
#endif
#ifdef LSWAG_AVX512_BF16
  if (&active == &avx512_bf16::table) return true;
#endif
#ifdef LSWAG_X86
  if (&active == &avx512::table && __builtin_cpu_supports("avx512bf16")) return true;
#endif
  static_cast<void>(active);
  return false;
}

void set_isa(const std::string& name) {
  if (!name.empty()) kernels_named(name);
  const std::lock_guard<std::mutex> lock(override_mutex);
  override_name = name;
}

const KernelTable& active_kernels() {
  const std::string name = requested_name();
  return name.empty() ? *usable_tables().front() : kernels_named(name);
}

}  // namespace lswag
