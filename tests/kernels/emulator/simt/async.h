// Copies from global to shared memory that arrive no earlier than the wait for them, in an order chosen by the seed.
#pragma once

#include <algorithm>
#include <cstdint>

#include "simt/memory.h"

namespace simt {

// Copies N elements, the first n_valid from memory and zeros for the rest; 4, 8 or 16 bytes, aligned to their number.
template <int N, class T>
void copy_async(const Shared<T>& to, Index at, const Global<const T>& from, Index source, int n_valid) {
  static_assert(N * sizeof(T) == 4 || N * sizeof(T) == 8 || N * sizeof(T) == 16, "cp.async copies 4, 8 or 16 bytes");
  Machine& machine = Machine::instance();
  const int64_t first = position(at);
  const int64_t source_first = position(source);
  if (first % N) machine.fault("the target of a copy is not aligned", at.site);
  if (n_valid > 0 && reinterpret_cast<uintptr_t>(from.address(source_first)) % (N * sizeof(T))) {
    machine.fault("the source of a copy is not aligned", source.site);
  }
  for (int k = 0; k < N; ++k) {
    const Element<T> element = to.at(first + k, at.site);
    const T value = k < n_valid ? from.at(source_first + k, source.site) : T();
    element.cell->write(at.site);
    element.cell->in_flight = true;
    machine.state().open.push_back([element, value] {
      *element.value = value;
      element.cell->deliver();
    });
  }
}

inline void commit_copies() {
  Thread& thread = Machine::instance().state();
  thread.groups.push_back(std::move(thread.open));
  thread.open.clear();
}

// Waits for the copies that this thread has committed; others see them after a barrier.
inline void wait_for_copies(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  Machine& machine = Machine::instance();
  if (machine.mutated(Mutation::drop_wait, Site{file, line})) return;
  std::vector<Delivery> due;
  for (auto& group : machine.state().groups) due.insert(due.end(), group.begin(), group.end());
  machine.state().groups.clear();
  for (size_t left = due.size(); left > 0; --left) {
    std::swap(due[machine.random(left)], due[left - 1]);
    due[left - 1]();
  }
}

}  // namespace simt
