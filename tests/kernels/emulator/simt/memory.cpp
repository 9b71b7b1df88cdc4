#include "simt/memory.h"

#include <map>

namespace simt {
namespace {

// Ends of the allocations by their beginnings.
std::map<uintptr_t, uintptr_t>& allocations() {
  static std::map<uintptr_t, uintptr_t> ends;
  return ends;
}

}  // namespace

Allocation::Allocation(const void* data, int64_t n_bytes) : begin_(reinterpret_cast<uintptr_t>(data)) {
  if (n_bytes > 0) allocations()[begin_] = begin_ + n_bytes;
}

Allocation::~Allocation() { allocations().erase(begin_); }

void check_allocated(const void* address, int64_t n_bytes, const Site& site) {
  if (allocations().empty()) return;
  const auto begin = reinterpret_cast<uintptr_t>(address);
  auto found = allocations().upper_bound(begin);
  if (found != allocations().begin() && begin + n_bytes <= (--found)->second) return;
  Machine::instance().fault("global memory: an address outside of every allocation", site);
}

Cell& global_cell(const void* address) {
  static std::unordered_map<const void*, Cell> cells;
  Cell& cell = cells[address];
  cell.written = true;  // what was there before the launch may be read
  return cell;
}

void Cell::new_launch() {
  const uint32_t launch_now = Machine::instance().launch();
  if (launch == launch_now) return;
  const bool was_written = written;
  *this = Cell();
  written = was_written;
  launch = launch_now;
}

// Whether the running thread may follow the last write: made by itself, or before a barrier that both passed.
void Cell::check_against_write(const char* what, const Site& site) const {
  const Machine& machine = Machine::instance();
  const int self = machine.thread();
  if (writer == kNobody) return;
  if (write_block != machine.block_number()) {
    if (machine.follows(write_block, write_epoch)) return;
    machine.fault(std::string(what) + " what another block wrote", site);
  }
  if (writer == self || write_epoch != machine.epoch()) return;
  if (writer / kWarp == self / kWarp && write_warp_epoch != machine.warp_epoch()) return;
  machine.fault(std::string(what) + " what thread " + std::to_string(writer) + " wrote with no barrier between", site);
}

void Cell::check_against_reads(const Site& site) const {
  const Machine& machine = Machine::instance();
  const int self = machine.thread();
  if (read_block == kNobody) return;
  if (read_block != machine.block_number()) machine.fault("writes what another block read", site);
  if (read_epoch != machine.epoch()) return;
  const uint32_t own_warp = 1u << (self / kWarp);
  const bool ordered = reader == self || read_warp_epoch != machine.warp_epoch();
  if ((reading_warps & ~own_warp) || ((reading_warps & own_warp) && !ordered)) {
    machine.fault("writes what another thread read with no barrier between", site);
  }
}

void Cell::read(const Site& site) {
  const Machine& machine = Machine::instance();
  const int self = machine.thread();
  new_launch();
  if (in_flight) machine.fault("reads a copy that was not waited for", site);
  if (atomic) machine.fault("reads plainly what is updated atomically", site);
  if (!written) machine.fault("reads what was never written", site);
  check_against_write("reads", site);
  const int warp = self / kWarp;
  if (read_epoch != machine.epoch() || read_block == kNobody) reading_warps = 0;
  const bool same_warp = reader >= 0 && reader / kWarp == warp && read_warp_epoch == machine.warp_epoch();
  const bool several = reading_warps != 0 && reader != self && (same_warp || reader == kSeveral);
  reader = several ? kSeveral : self;
  reading_warps |= 1u << warp;
  read_block = read_block == kNobody || read_block == machine.block_number() ? machine.block_number() : kSeveral;
  read_epoch = machine.epoch();
  read_warp_epoch = machine.warp_epoch();
}

void Cell::write(const Site& site) {
  const Machine& machine = Machine::instance();
  new_launch();
  if (in_flight) machine.fault("writes where a copy is still under way", site);
  if (atomic) machine.fault("writes plainly what is updated atomically", site);
  check_against_write("overwrites", site);
  check_against_reads(site);
  note_write();
}

void Cell::note_write() {
  const Machine& machine = Machine::instance();
  written = true;
  writer = machine.thread();
  write_block = machine.block_number();
  write_epoch = machine.epoch();
  write_warp_epoch = machine.warp_epoch();
}

void Cell::update_atomically(const Site& site) {
  new_launch();
  if (writer != kNobody || read_block != kNobody) {
    Machine::instance().fault("updates atomically what is accessed plainly", site);
  }
  atomic = true;
}

void Cell::deliver() {
  in_flight = false;
  note_write();
}

}  // namespace simt
