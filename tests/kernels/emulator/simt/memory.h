// Shared and global arrays whose every access is checked: bounds, values never written, copies still under way, and
// accesses of two threads that no barrier orders.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "simt/machine.h"

namespace simt {

constexpr int kNobody = -1;
constexpr int kSeveral = -2;

// Who touched one element, and when.
struct Cell {
  uint32_t launch = 0;
  int64_t write_block = kNobody, read_block = kNobody;
  int writer = kNobody, reader = kNobody;  // reader: of the warp that read last
  uint32_t write_epoch = 0, write_warp_epoch = 0;
  uint32_t read_epoch = 0, read_warp_epoch = 0;
  uint32_t reading_warps = 0;  // a bit for each warp that read in read_epoch
  bool written = false;
  bool in_flight = false;
  bool atomic = false;

  void read(const Site& site);
  void write(const Site& site);
  void update_atomically(const Site& site);
  void deliver();  // the running thread has waited for its copy

 private:
  void new_launch();
  void check_against_write(const char* what, const Site& site) const;
  void check_against_reads(const Site& site) const;
  void note_write();
};

// An element that is read or assigned.
template <class T>
struct Element {
  T* value;
  Cell* cell;
  Site site;

  Element(const Element&) = default;
  operator T() const {
    cell->read(site);
    return *value;
  }
  const Element& operator=(T other) const {
    cell->write(site);
    *value = other;
    return *this;
  }
  const Element& operator=(const Element& other) const { return *this = static_cast<T>(other); }
};

// The lines are shifted by one element in a mutant.
inline int64_t position(const Index& index) {
  return index.value + (Machine::instance().mutated(Mutation::shift_index, index.site) ? 1 : 0);
}

inline void check_bounds(int64_t i, int64_t begin, int64_t end, const char* memory, const Site& site) {
  if (i >= begin && i < end) return;
  Machine::instance().fault(std::string(memory) + " memory: index " + std::to_string(i) + " outside of [" +
                                std::to_string(begin) + ", " + std::to_string(end) + ")",
                            site);
}

template <class T>
struct SharedMemory {
  explicit SharedMemory(int64_t n) : values(n), cells(n) {}
  std::vector<T> values;
  std::vector<Cell> cells;
};

// An array of the block's shared memory.
template <class T>
class Shared {
 public:
  Shared(int64_t n, const Site& site) {
    std::shared_ptr<void>& memory = Machine::instance().shared(site);
    if (!memory) memory = std::make_shared<SharedMemory<T>>(n);
    memory_ = static_cast<SharedMemory<T>*>(memory.get());
  }

  Element<T> operator[](const Index& index) const { return at(position(index), index.site); }
  Element<T> at(int64_t i, const Site& site) const {
    check_bounds(i, 0, static_cast<int64_t>(memory_->values.size()), "shared", site);
    return {&memory_->values[i], &memory_->cells[i], site};
  }

 private:
  SharedMemory<T>* memory_;
};

// Memory of the host that stands for device memory while this lives. Kernels may touch no other; without any, all.
class Allocation {
 public:
  Allocation(const void* data, int64_t n_bytes);
  template <class T>
  explicit Allocation(const std::vector<T>& values) : Allocation(values.data(), values.size() * sizeof(T)) {}
  Allocation(Allocation&& other) noexcept : begin_(other.begin_) { other.begin_ = 0; }
  Allocation& operator=(Allocation&& other) noexcept {
    std::swap(begin_, other.begin_);
    return *this;
  }
  ~Allocation();

 private:
  uintptr_t begin_;
};

void check_allocated(const void* address, int64_t n_bytes, const Site& site);

// The cells of global memory that some view may write, by address; they live as long as the program.
Cell& global_cell(const void* address);

// An array in global memory; offsets of elements lie in [begin, end).
template <class T>
class Global {
 public:
  Global() = default;
  Global(T* data, int64_t n) : Global(data, 0, n) {}
  Global(T* data, int64_t begin, int64_t end) : data_(data), begin_(begin), end_(end) {}

  Element<T> operator[](const Index& index) const { return at(position(index), index.site); }
  Element<T> at(int64_t i, const Site& site) const {
    check_bounds(i, begin_, end_, "global", site);
    check_allocated(data_ + i, sizeof(T), site);
    return {data_ + i, &global_cell(data_ + i), site};
  }
  T* address(int64_t i) const { return data_ + i; }

 private:
  T* data_ = nullptr;
  int64_t begin_ = 0;
  int64_t end_ = 0;
};

// Read-only memory gives values: tables of structures are read by member.
template <class T>
class Global<const T> {
 public:
  Global() = default;
  Global(const T* data, int64_t n) : Global(data, 0, n) {}
  Global(const T* data, int64_t begin, int64_t end) : data_(data), begin_(begin), end_(end) {}

  const T& operator[](const Index& index) const { return at(position(index), index.site); }
  const T& at(int64_t i, const Site& site) const {
    check_bounds(i, begin_, end_, "global", site);
    check_allocated(data_ + i, sizeof(T), site);
    return data_[i];
  }
  const T* address(int64_t i) const { return data_ + i; }

 private:
  const T* data_ = nullptr;
  int64_t begin_ = 0;
  int64_t end_ = 0;
};

// ---- atomics on 64-bit words of global memory ----

using Word = unsigned long long;

inline Word& atomic_word(const Global<Word>& memory, const Index& index) {
  Machine::instance().give_way();
  const Element<Word> element = memory[index];
  element.cell->update_atomically(index.site);
  return *element.value;
}

inline Word atomic_load(const Global<Word>& memory, Index index) { return atomic_word(memory, index); }

inline Word atomic_compare_swap(const Global<Word>& memory, Index index, Word expected, Word desired) {
  Word& word = atomic_word(memory, index);
  const Word before = word;
  if (before == expected) word = desired;
  return before;
}

inline void atomic_add(const Global<Word>& memory, Index index, Word value) { atomic_word(memory, index) += value; }

// Whether the block is the last of the grid to come here: then it may read what the others wrote before they came. All
// threads of a block come here once; `counter` is zero before the launch.
inline bool is_last_block(const Global<Word>& counter, Index n_blocks) {
  const Element<Word> element = counter.at(0, n_blocks.site);
  element.cell->update_atomically(n_blocks.site);
  return Machine::instance().arrive(*element.value, static_cast<Word>(n_blocks.value), n_blocks.site);
}

}  // namespace simt
