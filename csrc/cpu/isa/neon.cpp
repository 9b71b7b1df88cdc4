// 64-bit Arm: 32 registers of 4 floats.
#define LSWAG_ISA neon
#define LSWAG_ISA_NAME "neon"
#define LSWAG_VECTOR_BYTES 16
#define LSWAG_TILE_ROWS 8
#define LSWAG_TILE_VECTORS 3
#define LSWAG_TASK_ROWS 96
#include "cpu/isa/unit.inl"
