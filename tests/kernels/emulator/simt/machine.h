// Runs a grid on one host thread: blocks in sequence, the threads of a block as fibres in an order chosen by a seed.
//
// A fibre runs until it waits for others (barrier, warp operation) or gives way (atomics), so every order in which
// threads may pass between such points can come up, and a data race is found by the epochs of memory.h in any order.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "simt/fault.h"

namespace simt {

constexpr int kWarp = 32;

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

// What a test chooses before a launch, and what it may look at after.
struct Settings {
  uint64_t seed = 0;
  Mutant mutant;
  Sites* sites = nullptr;      // filled with the lines passed, if given
  bool skips_kernels = false;  // to count launches that would take hours
};

// A copy to shared memory that is under way: `deliver` makes it happen.
using Delivery = std::function<void()>;

struct Thread {
  std::vector<std::vector<Delivery>> groups;  // committed, oldest first
  std::vector<Delivery> open;                 // not yet committed
};

class Machine {
 public:
  static Machine& instance();

  Settings settings;
  int64_t n_queued = 0;  // launches, and memory cleared, so far: what a device would have in its stream

  void run(Dim grid, int n_threads, const std::function<void()>& kernel);

  // Of the fibre that runs.
  int thread() const { return current_; }
  Dim block() const { return block_; }
  int64_t block_number() const { return block_number_; }
  uint32_t launch() const { return launch_; }
  Thread& state() { return threads_[current_]; }
  // How many barriers the block, and how many warp barriers the thread's warp, has passed.
  uint32_t epoch() const { return epoch_; }
  uint32_t warp_epoch() const { return warp_epochs_[current_ / kWarp]; }

  void barrier(const Site& site);
  // A barrier that counts the block; true in the one that makes `n_arrived` the number of blocks.
  bool arrive(unsigned long long& n_arrived, unsigned long long n_blocks, const Site& site);
  // Whether the block that runs came last, after the other block had written at that epoch.
  bool follows(int64_t other_block, uint32_t epoch) const;
  // All lanes of a warp meet, each with its own `slot`; the last to come performs the operation on all slots.
  void meet(const Site& site, void* slot, void (*perform)(void** slots));
  void end_warp_epoch() { ++warp_epochs_[current_ / kWarp]; }
  // Lets another thread go first, sometimes.
  void give_way();
  uint64_t random(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(generator_); }

  bool mutated(Mutation kind, const Site& site);
  [[noreturn]] void fault(const std::string& message, const Site& site) const;

  // Memory of a block that a kernel declares on this line; the same for all its threads.
  std::shared_ptr<void>& shared(const Site& site);

 private:
  // The first entry is by its context; later switches are jumps, which leave the signal mask alone and cost no system
  // call.
  struct Fibre {
    std::unique_ptr<char[]> stack;
    ucontext_t context;
    jmp_buf point;
    bool started = false;
  };

  struct Meeting {
    int n_arrived = 0;
    Site site;
    void* slots[kWarp];
  };

  static void enter();
  void run_block(int n_threads);
  void prepare(Fibre& fibre);
  void resume(int thread);
  void stop();  // the running fibre, until it is ready again
  void run_thread();
  void check_stuck() const;

  jmp_buf scheduler_;
  std::vector<std::unique_ptr<Fibre>> fibres_;
  std::vector<Thread> threads_;
  std::vector<int> ready_;
  std::vector<Meeting> meetings_;
  std::vector<uint32_t> warp_epochs_;
  std::vector<std::pair<Site, std::shared_ptr<void>>> shared_;
  std::vector<int> at_barrier_;
  Site barrier_site_;
  const std::function<void()>* kernel_ = nullptr;
  std::exception_ptr error_;
  std::mt19937_64 generator_;
  Dim block_;
  int64_t block_number_ = 0;
  uint32_t launch_ = 0;
  uint32_t epoch_ = 0;
  std::unordered_map<int64_t, uint32_t> arrivals_;  // epochs of the blocks that have arrived
  bool has_arrived_ = false;
  bool is_last_ = false;
  int current_ = 0;
  int n_alive_ = 0;
};

}  // namespace simt
