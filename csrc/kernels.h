// The whole C++ surface: plain functions on plain views. Nothing here owns a tensor or knows of Python.
//
// Index letters: b sample, t position, i input feature, o output feature, s sample of a pattern, v neuron.
// Every function may throw std::invalid_argument (shapes) and IsaError, and gives the same bits for any
// n_threads.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/statistics.h"
#include "dispatch.h"
#include "view.h"

namespace lswag {

// ---- gradient_stats: statistics over the samples of a weight's per-sample gradients ----

// One use of the weight. Linear: x (B, positions..., I), grad_out (B, positions..., O).
// Convolution: x (B, C, W) or (B, C, H, W), grad_out (B, O, W') or (B, O, H', W').
struct GradientCall {
  View x;
  View grad_out;
};

struct ConvGeometry {
  int n_dims = 2;  // spatial dimensions: 1 or 2; the arrays hold that many entries
  int64_t kernel[2] = {1, 1};
  int64_t stride[2] = {1, 1};
  int64_t padding[2] = {0, 0};
  int64_t dilation[2] = {1, 1};
  int64_t groups = 1;
};

// Running state (O, K), K the columns of the weight as a matrix; contiguous, of the compute type. Read when count > 0,
// written back always. Gradients in it are scaled by 2^exponent, which falls where a later chunk has larger ones.
struct MomentsRef {
  int64_t count = 0;
  int exponent = 0;
  double squares = 0;           // what common/rounding.h needs of the samples so far
  void* mean = nullptr;         // of |G_b| or G_b
  void* m2 = nullptr;           // sum of squared deviations from that mean
  void* signed_mean = nullptr;  // of G_b; null without batch_gradient
};

struct GradientOptions {
  const ConvGeometry* conv = nullptr;   // null: linear
  bool absolute = true;                 // statistics of |G_b|, else of G_b
  const int64_t* row_blocks = nullptr;  // which blocks of kRowBlock output rows; null: all
  int64_t n_row_blocks = 0;
  MomentsRef* moments = nullptr;  // continue from, and write back to
  bool batch_gradient = false;    // also what depends on the sum over the samples of the signed gradients
  const View* weight = nullptr;   // (O, K...) in torch's order; only read with batch_gradient
  double xi = 1e-8;
  int n_threads = 1;
};

constexpr int64_t kRowBlock = 8;

struct GradientStats {
  int64_t n_weights = 0;
  double values[statistic::kCount] = {};  // 0 where options lack what a statistic needs
};

// Computes in float32, or in double if any operand is float64.
GradientStats gradient_stats(const GradientCall* calls, int n_calls, const GradientOptions& options);

// ---- products of float32 matrices by the tiles of bfloat16 ----

// Whether the active instruction set has float_product.
bool has_float_product();

// out (M, N), contiguous, is a (M, K) times b (K, N), plus bias (N) if there is one; all float32, and K > 0. The rows
// of a are contiguous, and the rows or the columns of b. Errors are those of a product in float32; see
// cpu/product/ops.h. Returns whether all elements of a and b are finite; out is not defined otherwise.
bool float_product(const View& a, const View& b, const View* bias, float* out, int n_threads);

// ---- activation patterns ----

enum class Layout : int { neuron_major, sample_major };

// Bit s of neuron v is y[s, v] > 0 (NaN and -0.0 are not). y (S_all, any dims), V = product of the dims; the first
// n_samples of axis 0 are packed. neuron_major: out (V, ceil(S/64)), sample s in bit s % 64 of word s / 64;
// sample_major: out (S, ceil(V/64)). Unused high bits are zero. Neurons are numbered in the row-major order of the axes
// of y, whatever its strides. y has at least one axis, and 1 <= n_samples <= S_all.
void pack_signs(const View& y, int64_t n_samples, Layout layout, uint64_t* out, int n_threads);

// Exact number of distinct rows over the union of n_arrays arrays (n_rows[a], words_per_row), each contiguous; only the
// low n_bits bits of a row count, 1 <= n_bits <= 64 * words_per_row.
int64_t count_distinct(const uint64_t* const* words, const int64_t* n_rows, int n_arrays, int64_t words_per_row,
                       int64_t n_bits);

// out[s, s'] = on how many of the first n_neurons bits two rows of words (S, words_per_sample) agree. out (S, S).
void agreement_counts(const uint64_t* words, int64_t n_samples, int64_t words_per_sample, int64_t n_neurons,
                      int64_t* out, int n_threads);

// ---- CUDA ----
//
// The same reductions of device memory. A build without CUDA has them too; they then throw CudaError. Every call is
// queued on `stream` and returns at once: nothing is allocated, and nothing is copied back to the host. Outputs and
// workspaces are device memory that the caller owns, of the sizes that the *_bytes functions give; their content
// before the call does not matter.

struct CudaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace cuda {

struct Stream {
  int device = 0;
  void* handle = nullptr;  // a cudaStream_t
};

struct Build {
  std::string toolkit;        // "13.0"; empty: built without CUDA
  std::string architectures;  // "sm_80, sm_90, compute_90"
};

Build build();

// Version of CUDA that the driver supports, 1000 major + 10 minor; 0 without a driver.
int driver_version();

// As above, with out in device memory.
void pack_signs(const View& y, int64_t n_samples, Layout layout, uint64_t* out, Stream stream);

int64_t count_distinct_bytes(const int64_t* n_rows, int n_arrays);

// Writes one number to out. The arrays hold addresses of device memory, but lie on the host themselves.
void count_distinct(const uint64_t* const* words, const int64_t* n_rows, int n_arrays, int64_t words_per_row,
                    int64_t n_bits, void* workspace, int64_t* out, Stream stream);

void agreement_counts(const uint64_t* words, int64_t n_samples, int64_t words_per_sample, int64_t n_neurons,
                      int64_t* out, Stream stream);

// Float32 is multiplied exactly, or rounded to TF32 (10 bits of mantissa) for the tensor cores.
enum class Precision : int { exact, tf32 };

// All in device memory. The moments of `options` too, and their exponent and squares are these (one number each, read
// when their count > 0 and written always), not those in MomentsRef.
struct GradientMemory {
  void* workspace = nullptr;
  int32_t* exponent = nullptr;   // null without moments
  double* squares = nullptr;     // null without moments
  double* statistics = nullptr;  // statistic::kCount
};

int64_t gradient_stats_bytes(const GradientCall* calls, int n_calls, const GradientOptions& options);

// Raises the count of the moments; returns n_weights.
int64_t gradient_stats(const GradientCall* calls, int n_calls, const GradientOptions& options, Precision precision,
                       const GradientMemory& memory, Stream stream);

}  // namespace cuda

// ---- measuring the machine ----

// Runs n_iterations of independent fused multiply-adds in registers on each thread, with the named instruction set;
// returns the operations done.
double fma_loop(const std::string& isa, int64_t n_iterations, int n_threads);

}  // namespace lswag
