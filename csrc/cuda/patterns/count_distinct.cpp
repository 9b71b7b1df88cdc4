// count_distinct on the device: an open-addressing set of whole keys in global memory. Which thread inserts a key is a
// matter of chance, how many keys there are is not.

#include <algorithm>
#include <vector>

#include "common/patterns.h"
#include "cuda/simt/simt.h"
#include "cuda/simt/upload.h"
#include "kernels.h"

namespace lswag {
namespace cuda {
namespace {

using simt::Word;

constexpr int kBlock = 256;
constexpr int64_t kMaxBlocks = 2048;  // enough to fill a device; more rows are further turns of the same threads
constexpr int kRowBits = 48;          // of a slot in a set of rows: the row's number + 1; above, a part of its hash

// The rows of all arrays, numbered through.
struct Rows {
  simt::Global<const Word> table;  // n_arrays addresses, then the number of the first row of each array
  int n_arrays;
  int64_t words_per_row;
  int64_t n_words;  // that count
  Word last_mask;   // of the last of these

  SIMT_DEVICE simt::Global<const Word> row(int64_t number) const {
    int low = 0;
    for (int high = n_arrays; high - low > 1;) {
      const int middle = (low + high) / 2;
      (static_cast<int64_t>(table[n_arrays + middle]) <= number ? low : high) = middle;
    }
    const Word* array = reinterpret_cast<const Word*>(table[low]);
    const int64_t first = static_cast<int64_t>(table[n_arrays + low]);
    return {array + (number - first) * words_per_row, words_per_row};
  }

  SIMT_DEVICE Word word(const simt::Global<const Word>& row, int64_t w) const {
    return w == n_words - 1 ? row[w] & last_mask : row[w];
  }
};

// A slot is tried by reading first: most keys are there already, and a swap on one address is slow.
SIMT_DEVICE Word claim(const simt::Global<Word>& slots, int64_t slot, Word key) {
  const Word found = simt::atomic_load(slots, slot);
  return found != 0 ? found : simt::atomic_compare_swap(slots, slot, 0, key);
}

// Keys of one word. An empty slot is 0, so the key 0 has the slot behind the others, marked by a 1.
struct WordSet {
  Rows rows;
  simt::Global<Word> slots;
  int bits;

  SIMT_DEVICE bool insert(int64_t number) const {
    const Word key = rows.word(rows.row(number), 0);
    const int64_t n_slots = int64_t{1} << bits;
    if (key == 0) return claim(slots, n_slots, 1) == 0;
    for (int64_t slot = mix(key) >> (kWordBits - bits);; slot = (slot + 1) & (n_slots - 1)) {
      const Word found = claim(slots, slot, key);
      if (found == 0 || found == key) return found == 0;
    }
  }
};

// Keys of several words. A slot names the row that holds the key; equal parts of the hash compare all words.
struct RowSet {
  Rows rows;
  simt::Global<Word> slots;
  int bits;

  SIMT_DEVICE bool insert(int64_t number) const {
    const simt::Global<const Word> row = rows.row(number);
    Word hash = 0;
    for (int64_t w = 0; w < rows.n_words; ++w) hash = mix(hash ^ rows.word(row, w));
    const Word name = hash << kRowBits | static_cast<Word>(number + 1);
    const int64_t n_slots = int64_t{1} << bits;
    for (int64_t slot = hash >> (kWordBits - bits);; slot = (slot + 1) & (n_slots - 1)) {
      const Word found = claim(slots, slot, name);
      if (found == 0) return true;
      if (found >> kRowBits == name >> kRowBits && same(found, row)) return false;
    }
  }

  SIMT_DEVICE bool same(Word found, const simt::Global<const Word>& row) const {
    const auto other = rows.row(static_cast<int64_t>(found & ((Word{1} << kRowBits) - 1)) - 1);
    for (int64_t w = 0; w < rows.n_words; ++w) {
      if (rows.word(other, w) != rows.word(row, w)) return false;
    }
    return true;
  }
};

template <class Set>
struct CountDistinct {
  static constexpr int kThreads = kBlock;

  Set set;
  int64_t n_rows;
  int64_t n_threads;  // of the grid
  simt::Global<Word> out;

  SIMT_DEVICE void operator()() const {
    const int64_t first = static_cast<int64_t>(simt::block_index().x) * kThreads + simt::thread_index();
    int n_new = 0;
    for (int64_t number = first; number < n_rows; number += n_threads) n_new += set.insert(number);
    for (int delta = simt::kWarp / 2; delta > 0; delta /= 2) n_new += simt::shuffle_down(n_new, delta);
    if (simt::lane_index() == 0) simt::atomic_add(out, 0, static_cast<Word>(n_new));
  }
};

// The first words of the table, an empty set and a count of 0, in one launch: for a small layer launches are the cost.
struct Prepare {
  static constexpr int kThreads = kBlock;

  Upload table;
  simt::Global<Word> slots;
  int64_t n_slots;
  int64_t n_threads;  // of the grid
  simt::Global<Word> out;

  SIMT_DEVICE void operator()() const {
    const int64_t first = static_cast<int64_t>(simt::block_index().x) * kThreads + simt::thread_index();
    if (simt::block_index().x == 0) table();
    if (first == 0) out[0] = 0;
    for (int64_t slot = first; slot < n_slots; slot += n_threads) slots[slot] = 0;
  }
};

int64_t n_blocks(int64_t n_items) { return std::min(kMaxBlocks, ceil_div(n_items, kBlock)); }

template <class Set>
void count(const Set& set, int64_t n_rows, const simt::Global<Word>& out, simt::Stream stream) {
  const int64_t blocks = n_blocks(n_rows);
  simt::launch(CountDistinct<Set>{set, n_rows, blocks * kBlock, out}, {static_cast<unsigned>(blocks), 1, 1}, stream);
}

}  // namespace

int64_t count_distinct_bytes(const int64_t* n_rows, int n_arrays) {
  const int64_t n_slots = (int64_t{1} << table_bits(total_rows(n_rows, n_arrays))) + 1;
  return (n_slots + 2 * n_arrays) * static_cast<int64_t>(sizeof(Word));
}

void count_distinct(const uint64_t* const* words, const int64_t* n_rows, int n_arrays, int64_t words_per_row,
                    int64_t n_bits, void* workspace, int64_t* out, Stream stream) {
  check_row_bits(n_bits, words_per_row);
  const simt::DeviceScope device(stream.device);
  const auto queue = static_cast<simt::Stream>(stream.handle);
  const int64_t total = total_rows(n_rows, n_arrays);
  if (total == 0) return simt::set_zero(out, sizeof(int64_t), queue);
  std::vector<Word> table(2 * n_arrays);
  int64_t first = 0;
  for (int a = 0; a < n_arrays; ++a) {
    table[a] = reinterpret_cast<uintptr_t>(words[a]);
    table[n_arrays + a] = static_cast<Word>(first);
    first += n_rows[a];
  }
  const int64_t n_table = static_cast<int64_t>(table.size());
  const int bits = table_bits(total);
  const int64_t n_slots = (int64_t{1} << bits) + 1;
  Word* const begin = static_cast<Word*>(workspace);
  const simt::Global<Word> slots{begin + n_table, n_slots};
  const simt::Global<Word> counter{reinterpret_cast<Word*>(out), 1};
  const int64_t blocks = n_blocks(n_slots);
  simt::launch(Prepare{upload_of(table.data(), n_table, begin), slots, n_slots, blocks * kBlock, counter},
               {static_cast<unsigned>(blocks), 1, 1}, queue);
  upload_rest(table.data(), n_table, begin, queue);
  const int64_t n_words = ceil_div(n_bits, kWordBits);
  const Rows rows{{begin, n_table}, n_arrays, words_per_row, n_words, last_word_mask(n_bits)};
  if (n_words == 1) {
    count(WordSet{rows, slots, bits}, total, counter, queue);
  } else {
    count(RowSet{rows, slots, bits}, total, counter, queue);
  }
}

}  // namespace cuda
}  // namespace lswag
