// Any CPU of the architecture the compiler targets (x86-64: SSE2).
#define LSWAG_ISA baseline
#define LSWAG_ISA_NAME "baseline"
#define LSWAG_VECTOR_BYTES 16
#define LSWAG_TILE_ROWS 4
#define LSWAG_TILE_VECTORS 2
#define LSWAG_TASK_ROWS 96
#include "cpu/isa/unit.inl"
