// AVX2 with fused multiply-add: 16 registers of 8 floats.
#define LSWAG_ISA avx2
#define LSWAG_ISA_NAME "avx2"
#define LSWAG_VECTOR_BYTES 32
#define LSWAG_TILE_ROWS 4
#define LSWAG_TILE_VECTORS 3
#define LSWAG_TASK_ROWS 192
#include "cpu/isa/unit.inl"
