// count_distinct: a bitmap over all possible patterns where that is no larger than the data, else a hash set of whole
// keys.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/patterns.h"
#include "kernels.h"

namespace lswag {
namespace {

// Keys whose table slots are fetched ahead together: enough to hide the latency of memory.
constexpr int64_t kAhead = 16;

struct Rows {
  const uint64_t* const* words;
  const int64_t* n_rows;
  int n_arrays;
  int64_t words_per_row;
};

// Open addressing on keys of one word; an empty slot is 0, so the key 0 is kept beside the table.
class WordSet {
 public:
  using Key = uint64_t;

  WordSet(int64_t n_keys, uint64_t mask)
      : mask_(mask), shift_(kWordBits - table_bits(n_keys)), slots_(size_t{1} << (kWordBits - shift_)) {}

  Key key(const uint64_t* row) const {
    const Key key = *row & mask_;
    __builtin_prefetch(&slots_[mix(key) >> shift_], 1);
    return key;
  }

  void insert(Key key) {
    if (key == 0) {
      has_zero_ = true;
      return;
    }
    for (size_t slot = mix(key) >> shift_;; slot = (slot + 1) & (slots_.size() - 1)) {
      if (slots_[slot] == key) return;
      if (slots_[slot] == 0) {
        slots_[slot] = key;
        ++n_found_;
        return;
      }
    }
  }

  int64_t size() const { return n_found_ + has_zero_; }

 private:
  uint64_t mask_;
  int shift_;
  std::vector<uint64_t> slots_;
  int64_t n_found_ = 0;
  bool has_zero_ = false;
};

// Open addressing on rows of several words: a slot holds the hash and where the row lies; equal hashes compare all
// words.
class RowSet {
 public:
  struct Key {
    uint64_t hash;
    const uint64_t* row;
  };

  RowSet(int64_t n_keys, int64_t n_words, uint64_t last_mask)
      : last_(n_words - 1),
        last_mask_(last_mask),
        shift_(kWordBits - table_bits(n_keys)),
        slots_(size_t{1} << (kWordBits - shift_)) {}

  Key key(const uint64_t* row) const {
    uint64_t hash = 0;
    for (int64_t w = 0; w < last_; ++w) hash = mix(hash ^ row[w]);
    hash = mix(hash ^ (row[last_] & last_mask_));
    __builtin_prefetch(&slots_[hash >> shift_], 1);
    return {hash, row};
  }

  void insert(Key key) {
    for (size_t slot = key.hash >> shift_;; slot = (slot + 1) & (slots_.size() - 1)) {
      if (slots_[slot].row == nullptr) {
        slots_[slot] = key;
        ++n_found_;
        return;
      }
      if (slots_[slot].hash == key.hash && same(slots_[slot].row, key.row)) return;
    }
  }

  int64_t size() const { return n_found_; }

 private:
  bool same(const uint64_t* a, const uint64_t* b) const {
    return std::equal(a, a + last_, b) && ((a[last_] ^ b[last_]) & last_mask_) == 0;
  }

  int64_t last_;
  uint64_t last_mask_;
  int shift_;
  std::vector<Key> slots_;
  int64_t n_found_ = 0;
};

template <class Set>
int64_t count_with(Set set, const Rows& rows) {
  typename Set::Key keys[kAhead];
  for (int a = 0; a < rows.n_arrays; ++a) {
    const uint64_t* row = rows.words[a];
    for (int64_t left = rows.n_rows[a]; left > 0; left -= kAhead) {
      const int64_t n = std::min(kAhead, left);
      for (int64_t k = 0; k < n; ++k, row += rows.words_per_row) keys[k] = set.key(row);
      for (int64_t k = 0; k < n; ++k) set.insert(keys[k]);
    }
  }
  return set.size();
}

// One bit for each possible pattern: exact without comparing keys.
int64_t count_with_bitmap(const Rows& rows, uint64_t mask) {
  std::vector<uint64_t> seen(static_cast<size_t>(mask / kWordBits + 1));
  int64_t n_found = 0;
  for (int a = 0; a < rows.n_arrays; ++a) {
    const uint64_t* row = rows.words[a];
    for (int64_t r = 0; r < rows.n_rows[a]; ++r, row += rows.words_per_row) {
      const uint64_t pattern = *row & mask;
      uint64_t& word = seen[pattern / kWordBits];
      const uint64_t bit = uint64_t{1} << (pattern % kWordBits);
      n_found += (word & bit) == 0;
      word |= bit;
    }
  }
  return n_found;
}

}  // namespace

int64_t count_distinct(const uint64_t* const* words, const int64_t* n_rows, int n_arrays, int64_t words_per_row,
                       int64_t n_bits) {
  check_row_bits(n_bits, words_per_row);
  const Rows rows{words, n_rows, n_arrays, words_per_row};
  const int64_t total = total_rows(n_rows, n_arrays);
  if (total == 0) return 0;
  const int64_t n_words = ceil_div(n_bits, kWordBits);
  const uint64_t last_mask = last_word_mask(n_bits);
  if (n_words > 1) return count_with(RowSet(total, n_words, last_mask), rows);
  const bool bitmap_is_small = last_mask / kWordBits < static_cast<uint64_t>(total);
  return bitmap_is_small ? count_with_bitmap(rows, last_mask) : count_with(WordSet(total, last_mask), rows);
}

}  // namespace lswag
