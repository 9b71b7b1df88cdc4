// The inner loops of float_product on an instruction set that multiplies bfloat16 many times as fast as float32.
//
// A float is the sum of three bfloat16, its *planes*: its 24 bits of mantissa in pieces of 8. Of the nine products of
// the planes of two floats, the six largest make up their product to 2^-24 of it, each exact, and are added in float32.
// Before it is cut, each row of a and each column of b is divided by a power of two, so that its largest element lies
// in [1, 2): the planes of elements that matter are then never subnormal, and no plane overflows.
//
// A *panel* is up to kProductPanel rows of a, or columns of b, packed for the tiles.
#pragma once

#include <cstdint>

#include "cpu/isa/tile_config.h"

namespace lswag {

constexpr int kProductPanel = 32;
constexpr int kProductDepth = 32;  // elements along the sum in a block of a panel
constexpr int kProductPlanes = 3;

struct ProductPanel {
  const float* source;
  int64_t stride;         // elements between rows (packing by rows), or along the sum (packing by columns)
  int n;                  // rows of a, or columns of b, in use
  int64_t depth;          // terms of the sum
  unsigned char* planes;  // panel_bytes(depth)
  float* exponent;        // kProductPanel: of the power of two that each was divided by
};

constexpr int64_t panel_blocks(int64_t depth) { return (depth + kProductDepth - 1) / kProductDepth; }

constexpr int64_t panel_bytes(int64_t depth) {
  return panel_blocks(depth) * kProductPlanes * kProductPanel * kProductDepth * 2;
}

// Panels of a one after the other, times all panels of b.
struct ProductBlock {
  const unsigned char* a;
  const unsigned char* b;
  const float* a_exponent;
  const float* b_exponent;
  const float* bias;  // of the columns, or null
  int64_t n_blocks;   // along the sum
  int64_t n_rows;
  int64_t n_columns;
  float* out;
  int64_t out_stride;  // between rows
  bool past_cache;     // an out larger than the caches: written without being read into them first
};

// Packing tells whether all elements are finite; of others there are no planes.
struct ProductOps {
  bool (*pack_rows)(const ProductPanel& job);        // of a, whose rows are contiguous
  bool (*pack_columns)(const ProductPanel& job);     // of b, given by its rows
  bool (*pack_transposed)(const ProductPanel& job);  // of b, given by its columns
  void (*multiply)(const ProductBlock& block);
  void (*begin)(unsigned char (&saved)[kTileConfigBytes]);
  void (*end)(const unsigned char (&saved)[kTileConfigBytes]);
};

}  // namespace lswag
