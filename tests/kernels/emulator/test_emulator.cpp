// The emulator itself: it computes what the device would, and it finds each kind of fault it is there for.
#include <vector>

#include "cuda/simt/simt.h"
#include "testing.h"

namespace {

constexpr int kN = 64;

// Each thread writes an element and reads its neighbour's.
struct Neighbours {
  static constexpr int kThreads = kN;
  simt::Global<float> out;
  bool with_barrier;

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(float, values, kN);
    const int i = simt::thread_index();
    values[i] = static_cast<float>(i);
    if (with_barrier) simt::sync_threads();
    out[i] = values[(i + 1) % kN];
  }
};

struct Copies {
  static constexpr int kThreads = 32;
  simt::Global<const float> in;
  simt::Global<float> out;
  bool with_wait;
  int n_valid;

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(float, values, 4 * kThreads);
    const int i = 4 * simt::thread_index();
    simt::copy_async<4>(values, i, in, i, n_valid);
    simt::commit_copies();
    if (with_wait) simt::wait_for_copies();
    for (int k = 0; k < 4; ++k) out[i + k] = values[i + k];
  }
};

// The last block adds up what each block wrote.
struct LastBlock {
  static constexpr int kThreads = kN;
  simt::Global<float> parts;  // one for each thread of each block
  simt::Global<simt::Word> counter;
  simt::Global<float> out;
  int64_t n_blocks;
  bool writes_late;

  SIMT_DEVICE void operator()() const {
    const int64_t place = static_cast<int64_t>(simt::block_index().x) * kN + simt::thread_index();
    if (!writes_late) parts[place] = 1;
    const bool is_last = simt::is_last_block(counter, n_blocks);
    if (writes_late) parts[place] = 1;
    if (!is_last || simt::thread_index() > 0) return;
    float sum = 0;
    for (int64_t k = 0; k < n_blocks * kN; ++k) sum += parts[k];
    out[0] = sum;
  }
};

enum class Wrong {
  shared_bounds,
  global_bounds,
  unwritten,
  half_a_barrier,
  two_blocks_write,
  lost_lane,
  copy_left,
  misaligned_copy,
  mixed_atomics
};

struct Faulty {
  static constexpr int kThreads = kN;
  simt::Global<float> out;
  simt::Global<simt::Word> counter;
  Wrong wrong;

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(float, values, kN);
    const int i = simt::thread_index();
    if (wrong == Wrong::shared_bounds) values[i + 1] = 0;
    if (wrong == Wrong::global_bounds) out[i - 1] = 0;
    if (wrong == Wrong::unwritten) out[i] = values[i];
    if (wrong == Wrong::half_a_barrier && i < kN / 2) simt::sync_threads();
    if (wrong == Wrong::two_blocks_write) out[i] = 1;
    if (wrong == Wrong::lost_lane && i != 3) simt::ballot(true);
    if (wrong == Wrong::mixed_atomics) simt::atomic_add(counter, 0, 1);
    if (wrong == Wrong::mixed_atomics && i == 5) counter[0] = 0;
    if (wrong != Wrong::copy_left && wrong != Wrong::misaligned_copy) return;
    const int shift = wrong == Wrong::misaligned_copy ? 1 : 0;
    const simt::Global<const float> in(out.address(0), kN);
    if (i < kN / 4) simt::copy_async<4>(values, 4 * i, in, (4 * i + shift) % (kN - 4), 4);
    simt::commit_copies();
  }
};

// One product of a 16 x 16 and a 16 x 8 matrix, both read from shared memory with their first index outermost.
struct Product {
  static constexpr int kThreads = 32;
  simt::Global<const simt::Half> a;  // (K, 16)
  simt::Global<const simt::Half> b;  // (K, 16), of which 8 columns are used
  simt::Global<float> out;           // (16, 8)

  SIMT_DEVICE void operator()() const {
    SIMT_SHARED(simt::Half, a_tile, 256);
    SIMT_SHARED(simt::Half, b_tile, 256);
    const int lane = simt::lane_index();
    for (int k = lane; k < 256; k += kThreads) {
      a_tile[k] = a[k];
      b_tile[k] = b[k];
    }
    simt::sync_threads();
    uint32_t a_part[4], b_both[4];
    const int row = lane % 8;
    simt::load_matrices_transposed(a_tile, (row + lane / 16 * 8) * 16 + lane / 8 % 2 * 8, a_part);
    simt::load_matrices_transposed(b_tile, (row + lane / 8 % 2 * 8) * 16 + lane / 16 * 8, b_both);
    const uint32_t b_part[2] = {b_both[0], b_both[1]};
    float c[4] = {};
    simt::multiply_matrices<simt::Half>(c, a_part, b_part);
    for (int j = 0; j < 4; ++j) out[(lane / 4 + j / 2 * 8) * 8 + lane % 4 * 2 + j % 2] = c[j];
  }
};

template <class Kernel>
bool faults(const Kernel& kernel, unsigned n_blocks = 1) {
  try {
    simt::launch(kernel, {n_blocks, 1, 1}, {});
  } catch (const simt::Fault&) {
    return true;
  }
  return false;
}

void test_order() {
  std::vector<float> out(kN);
  const simt::Allocation allocation(out);
  testing::check(!faults(Neighbours{{out.data(), kN}, true}), "a barrier orders threads");
  bool right = true;
  for (int i = 0; i < kN; ++i) right = right && out[i] == static_cast<float>((i + 1) % kN);
  testing::check(right, "neighbours are read");
  testing::check(faults(Neighbours{{out.data(), kN}, false}), "a missing barrier is found");
}

void test_copies() {
  testing::Tensor in(lswag::DType::f32, {128});
  testing::Random random(1);
  in.fill_normal(random);
  std::vector<float> out(128);
  const simt::Allocation allocation(out);
  const auto* data = static_cast<const float*>(in.view().data);
  for (int n_valid : {0, 1, 3, 4}) {
    testing::check(!faults(Copies{{data, 128}, {out.data(), 128}, true, n_valid}), "copies arrive");
    bool right = true;
    for (int i = 0; i < 128; ++i) right = right && out[i] == (i % 4 < n_valid ? data[i] : 0.0f);
    testing::check(right, "copies fill up with zeros");
  }
  testing::check(faults(Copies{{data, 128}, {out.data(), 128}, false, 4}), "a missing wait is found");
}

void test_faults() {
  std::vector<float> out(kN + 4);
  std::vector<simt::Word> counter(1);
  const simt::Allocation allocations[] = {simt::Allocation(out), simt::Allocation(counter)};
  const auto run = [&](Wrong wrong, unsigned n_blocks) {
    return faults(Faulty{{out.data(), kN}, {counter.data(), 1}, wrong}, n_blocks);
  };
  testing::check(run(Wrong::shared_bounds, 1), "an index outside of shared memory is found");
  testing::check(run(Wrong::global_bounds, 1), "an index outside of global memory is found");
  testing::check(run(Wrong::unwritten, 1), "shared memory that was never written is found");
  testing::check(run(Wrong::half_a_barrier, 1), "a barrier that some threads miss is found");
  testing::check(run(Wrong::two_blocks_write, 2), "two blocks that write one element are found");
  testing::check(run(Wrong::lost_lane, 1), "a warp operation that a lane misses is found");
  testing::check(run(Wrong::copy_left, 1), "a copy that nobody waits for is found");
  testing::check(run(Wrong::misaligned_copy, 1), "a misaligned copy is found");
  testing::check(run(Wrong::mixed_atomics, 1), "plain and atomic access to one word is found");
  const Faulty elsewhere{{out.data() + out.size(), kN}, {counter.data(), 1}, Wrong::two_blocks_write};
  testing::check(faults(elsewhere), "memory that nobody allocated is found");
}

void test_last_block() {
  constexpr unsigned kBlocks = 5;
  std::vector<float> parts(kBlocks * kN), out(1);
  std::vector<simt::Word> counter(1);
  const simt::Allocation allocations[] = {simt::Allocation(parts), simt::Allocation(out), simt::Allocation(counter)};
  const auto run = [&](bool writes_late) {
    counter[0] = 0;
    return faults(LastBlock{{parts.data(), kBlocks * kN}, {counter.data(), 1}, {out.data(), 1}, kBlocks, writes_late},
                  kBlocks);
  };
  testing::check(!run(false) && out[0] == kBlocks * kN, "the last block reads what all wrote before");
  testing::check(run(true), "the last block reads what another wrote after it came");
}

void test_product() {
  testing::Tensor a(lswag::DType::f16, {16, 16}), b(lswag::DType::f16, {16, 16});
  testing::Random random(2);
  a.fill_normal(random);
  b.fill_normal(random);
  std::vector<float> out(128);
  const simt::Allocation allocation(out);
  simt::launch(Product{{static_cast<const simt::Half*>(a.view().data), 256},
                       {static_cast<const simt::Half*>(b.view().data), 256},
                       {out.data(), 128}},
               {1, 1, 1}, {});
  bool right = true;
  for (int64_t m = 0; m < 16; ++m) {
    for (int64_t n = 0; n < 8; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < 16; ++k) sum += a.get({k, m}) * b.get({k, n});
      right = right && out[m * 8 + n] == static_cast<float>(sum);
    }
  }
  testing::check(right, "a matrix product is its definition");
}

}  // namespace

int main() {
  testing::for_each_seed([](uint64_t) {
    test_order();
    test_copies();
    test_faults();
    test_last_block();
    test_product();
  });
  return testing::finish("emulator");
}
