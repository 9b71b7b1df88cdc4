// AVX-512 (F, BW, DQ, VL): 32 registers of 16 floats.
#define LSWAG_ISA avx512
#define LSWAG_ISA_NAME "avx512"
#define LSWAG_VECTOR_BYTES 64
#define LSWAG_TILE_ROWS 8
#define LSWAG_TILE_VECTORS 3
#define LSWAG_TASK_ROWS 96
#include "cpu/isa/unit.inl"
