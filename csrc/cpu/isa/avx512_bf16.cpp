// AVX-512 with AVX512_BF16: one instruction multiplies and adds two bfloat16 for each float of a register.
#define LSWAG_ISA avx512_bf16
#define LSWAG_ISA_NAME "avx512_bf16"
#define LSWAG_VECTOR_BYTES 64
#define LSWAG_TILE_ROWS 8
#define LSWAG_TILE_VECTORS 3
#define LSWAG_TASK_ROWS 96
#define LSWAG_BF16_DOTS
#include <immintrin.h>

#include "cpu/isa/unit.inl"
