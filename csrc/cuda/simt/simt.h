// The words in which the CUDA kernels are written. Under nvcc they are the intrinsics; under the host compiler they are
// an emulator that executes the kernels thread by thread and checks every access (tests/kernels/emulator/simt/).
//
// A kernel is a plain structure of its arguments with `kThreads`, the threads of a block (whole warps, one dimension),
// and `SIMT_DEVICE void operator()() const`; `simt::launch(kernel, grid, stream)` runs it. With `kMinBlocks` the
// compiler keeps the registers low enough for so many blocks at a time.
//
//   SIMT_SHARED(type, name, n)          an array of the block's shared memory
//   Global<T>, Shared<T>                arrays: a[i] is read or assigned
//   thread_index, lane_index, warp_index, block_index
//   sync_threads(), sync_warp()
//   ballot, shuffle_down                over the lanes of a warp
//   atomic_load, atomic_compare_swap, atomic_add
//   is_last_block(counter, n_blocks)    of a grid; there what the other blocks wrote before may be read
//   copy_async<N>, commit_copies, wait_for_copies
//   load_vector, load_matrices_transposed, multiply_matrices, multiply_matrices_tf32
//   to_float, to_tf32, fused_multiply_add, count_bits, float_of_bits, bits_of_float
//   set_zero, DeviceScope               on the host
#pragma once

#ifdef __CUDACC__
#include "cuda/simt/simt_device.h"
#else
#include "simt/emulator.h"
#endif
