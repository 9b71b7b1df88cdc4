// AVX-512 with the tile registers of AMX: 8 of 16 x 64 bytes, which multiply bfloat16.
#define LSWAG_ISA amx
#define LSWAG_ISA_NAME "amx"
#define LSWAG_VECTOR_BYTES 64
#define LSWAG_TILE_ROWS 8
#define LSWAG_TILE_VECTORS 3
#define LSWAG_TASK_ROWS 96
#define LSWAG_AMX_TILES
#include <immintrin.h>

#include "cpu/isa/unit.inl"
