#include "simt/machine.h"

#include <algorithm>
#include <numeric>

// For tests/kernels/cuda/test_launches.py.
extern "C" {
__attribute__((visibility("default"))) int64_t simt_n_queued() { return simt::Machine::instance().n_queued; }
__attribute__((visibility("default"))) void simt_skip_kernels(bool skips) {
  simt::Machine::instance().settings.skips_kernels = skips;
}
}

namespace simt {
namespace {

constexpr size_t kStackBytes = 128 * 1024;

}  // namespace

Machine& Machine::instance() {
  static Machine machine;
  return machine;
}

void Machine::run(Dim grid, int n_threads, const std::function<void()>& kernel) {
  if (n_threads % kWarp) throw Fault("the threads of a block must fill whole warps");
  generator_.seed(settings.seed);
  kernel_ = &kernel;
  ++launch_;
  arrivals_.clear();
  while (fibres_.size() < static_cast<size_t>(n_threads)) fibres_.push_back(std::make_unique<Fibre>());
  std::vector<int64_t> order(static_cast<int64_t>(grid.x) * grid.y * grid.z);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), generator_);
  for (int64_t number : order) {
    block_number_ = number;
    block_ = {static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
              static_cast<unsigned>(number / grid.x / grid.y)};
    run_block(n_threads);
  }
}

void Machine::run_block(int n_threads) {
  threads_.assign(n_threads, {});
  meetings_.assign(n_threads / kWarp, {});
  warp_epochs_.assign(n_threads / kWarp, 0);
  shared_.clear();
  at_barrier_.clear();
  ready_.resize(n_threads);
  std::iota(ready_.begin(), ready_.end(), 0);
  epoch_ = 0;
  n_alive_ = n_threads;
  has_arrived_ = is_last_ = false;
  error_ = nullptr;
  while (n_alive_ > 0) {
    if (ready_.empty()) check_stuck();
    const size_t pick = random(ready_.size());
    const int thread = ready_[pick];
    ready_[pick] = ready_.back();
    ready_.pop_back();
    resume(thread);
    if (!error_) continue;
    // The other fibres stand somewhere inside: they begin anew next time. Kernels own nothing that must be released.
    for (auto& fibre : fibres_) fibre->started = false;
    std::rethrow_exception(error_);
  }
}

void Machine::prepare(Fibre& fibre) {
  if (!fibre.stack) fibre.stack.reset(new char[kStackBytes]);
  getcontext(&fibre.context);
  fibre.context.uc_stack.ss_sp = fibre.stack.get();
  fibre.context.uc_stack.ss_size = kStackBytes;
  fibre.context.uc_link = nullptr;
  makecontext(&fibre.context, &Machine::enter, 0);
  fibre.started = true;
}

void Machine::enter() {
  for (;;) {
    instance().run_thread();
    instance().stop();
  }
}

void Machine::run_thread() {
  try {
    (*kernel_)();
    if (!state().open.empty() || !state().groups.empty()) {
      fault("a thread ends with copies under way", Site{"the end of the kernel", 0});
    }
    --n_alive_;
  } catch (...) {
    error_ = std::current_exception();
  }
}

void Machine::resume(int thread) {
  current_ = thread;
  Fibre& fibre = *fibres_[thread];
  if (_setjmp(scheduler_)) return;
  if (fibre.started) _longjmp(fibre.point, 1);
  prepare(fibre);
  setcontext(&fibre.context);
}

void Machine::stop() {
  if (_setjmp(fibres_[current_]->point) == 0) _longjmp(scheduler_, 1);
}

void Machine::check_stuck() const {
  if (!at_barrier_.empty()) {
    fault(std::to_string(at_barrier_.size()) + " threads wait at a barrier that the others never reach", barrier_site_);
  }
  for (const Meeting& meeting : meetings_) {
    if (meeting.n_arrived > 0) fault("lanes wait for a warp operation that the others never reach", meeting.site);
  }
  throw Fault("no thread can run");
}

void Machine::barrier(const Site& site) {
  if (mutated(Mutation::drop_barrier, site)) return;
  if (!at_barrier_.empty() && !(barrier_site_ == site)) fault("threads meet at different barriers", site);
  barrier_site_ = site;
  at_barrier_.push_back(current_);
  if (static_cast<int>(at_barrier_.size()) == static_cast<int>(threads_.size())) {
    ++epoch_;
    ready_.insert(ready_.end(), at_barrier_.begin(), at_barrier_.end());
    at_barrier_.clear();
  }
  stop();
}

bool Machine::arrive(unsigned long long& n_arrived, unsigned long long n_blocks, const Site& site) {
  const bool is_dropped = mutated(Mutation::drop_barrier, site);
  barrier(site);
  if (!has_arrived_) {
    has_arrived_ = true;
    is_last_ = ++n_arrived == n_blocks;
    if (!is_dropped) arrivals_[block_number_] = epoch_;
  }
  return is_last_;
}

bool Machine::follows(int64_t other_block, uint32_t epoch) const {
  const auto found = arrivals_.find(other_block);
  return is_last_ && found != arrivals_.end() && epoch < found->second;
}

void Machine::meet(const Site& site, void* slot, void (*perform)(void** slots)) {
  const int warp = current_ / kWarp;
  Meeting& meeting = meetings_[warp];
  if (meeting.n_arrived > 0 && !(meeting.site == site)) fault("lanes of a warp are at different operations", site);
  meeting.site = site;
  meeting.slots[current_ % kWarp] = slot;
  if (++meeting.n_arrived == kWarp) {
    perform(meeting.slots);
    meeting.n_arrived = 0;
    for (int lane = 0; lane < kWarp; ++lane) ready_.push_back(warp * kWarp + lane);
  }
  stop();
}

void Machine::give_way() {
  if (random(2)) return;
  ready_.push_back(current_);
  stop();
}

bool Machine::mutated(Mutation kind, const Site& site) {
  if (settings.sites) settings.sites->insert({kind, site});
  return settings.mutant.hits(kind, site);
}

void Machine::fault(const std::string& message, const Site& site) const {
  throw Fault(message + " (" + site.text() + ", block " + std::to_string(block_number_) + ", thread " +
              std::to_string(current_) + ")");
}

std::shared_ptr<void>& Machine::shared(const Site& site) {
  for (auto& [where, memory] : shared_) {
    if (where == site) return memory;
  }
  return shared_.emplace_back(site, nullptr).second;
}

}  // namespace simt
