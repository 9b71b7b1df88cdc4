// count_distinct of csrc/cuda in the emulator, against the CPU kernel and a set of rows.
#include <set>
#include <vector>

#include "kernels.h"
#include "testing.h"

namespace {

using Array = std::vector<uint64_t>;

struct Case {
  std::vector<Array> arrays;
  int64_t words_per_row;
  int64_t n_bits;
};

int64_t count_plainly(const Case& c) {
  std::set<Array> rows;
  for (const Array& array : c.arrays) {
    for (size_t first = 0; first < array.size(); first += c.words_per_row) {
      Array row(array.begin() + first, array.begin() + first + c.words_per_row);
      for (int64_t w = 0; w < c.words_per_row; ++w) {
        const int64_t left = c.n_bits - w * 64;
        if (left < 64) row[w] = left <= 0 ? 0 : row[w] & ((uint64_t{1} << left) - 1);
      }
      rows.insert(row);
    }
  }
  return static_cast<int64_t>(rows.size());
}

bool agrees(const Case& c) {
  std::vector<const uint64_t*> words;
  std::vector<int64_t> n_rows;
  std::vector<simt::Allocation> allocations;
  for (const Array& array : c.arrays) {
    words.push_back(array.data());
    allocations.emplace_back(array);
    n_rows.push_back(static_cast<int64_t>(array.size()) / c.words_per_row);
  }
  const int n_arrays = static_cast<int>(words.size());
  Array workspace(lswag::cuda::count_distinct_bytes(n_rows.data(), n_arrays) / 8, 0xdeadbeef);
  int64_t found = -1;
  allocations.emplace_back(workspace);
  allocations.emplace_back(&found, sizeof found);
  lswag::cuda::count_distinct(words.data(), n_rows.data(), n_arrays, c.words_per_row, c.n_bits, workspace.data(),
                              &found, {});
  const int64_t of_cpu = lswag::count_distinct(words.data(), n_rows.data(), n_arrays, c.words_per_row, c.n_bits);
  return found == count_plainly(c) && of_cpu == found;
}

// Rows drawn from n_distinct random ones, the zero row among them.
Array rows_among(int64_t n_rows, int64_t words_per_row, int64_t n_distinct, uint64_t seed) {
  testing::Random random(seed);
  Array pool(n_distinct * words_per_row);
  for (size_t k = words_per_row; k < pool.size(); ++k) pool[k] = random();
  Array rows;
  for (int64_t r = 0; r < n_rows; ++r) {
    const auto first = pool.begin() + static_cast<int64_t>(random() % n_distinct) * words_per_row;
    rows.insert(rows.end(), first, first + words_per_row);
  }
  return rows;
}

uint64_t mix(uint64_t x) {
  for (int k = 0; k < 2; ++k) x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93u;
  return x;
}

// Rows of two words with one and the same hash: only the comparison of the words tells them apart.
Array colliding_rows(uint64_t n) {
  Array rows;
  for (uint64_t first = 1; first <= n; ++first) {
    rows.push_back(first);
    rows.push_back(mix(first) ^ 12345);
  }
  return rows;
}

}  // namespace

int main() {
  testing::for_each_seed([](uint64_t seed) {
    for (int64_t n_bits : {1, 5, 20, 63, 64, 65, 128, 130, 192}) {
      for (int64_t n_rows : {1, 31, 255, 257, 1500}) {
        const int64_t n_distinct = n_rows / 3 + 1;
        testing::check(agrees({{rows_among(n_rows, 3, n_distinct, seed)}, 3, n_bits}),
                       std::to_string(n_rows) + " rows, " + std::to_string(n_bits) + " bits");
      }
    }
    testing::check(agrees({{rows_among(900, 1, 5, seed)}, 1, 64}), "few distinct rows");
    testing::check(agrees({{rows_among(300, 2, 50, 1), {}, rows_among(1, 2, 1, 2), rows_among(77, 2, 50, 1)}, 2, 70}),
                   "several arrays");
    testing::check(agrees({{colliding_rows(400)}, 2, 128}), "rows of equal hash");
    testing::check(agrees({{{}}, 1, 10}), "no rows");
  });
  testing::check_mutants("count_distinct",
                         {[] { return agrees({{rows_among(150, 1, 40, 1), rows_among(60, 1, 40, 2)}, 1, 60}); },
                          [] { return agrees({{rows_among(70, 2, 30, 1), colliding_rows(9)}, 2, 100}); }});
  return testing::finish("count_distinct");
}
