// Functions that both the host and a device may call. Not for the instruction-set units: see cpu/isa/kernel_table.h.
#pragma once

#ifdef __CUDACC__
#define LSWAG_HOST_DEVICE __host__ __device__
#else
#define LSWAG_HOST_DEVICE
#endif
