// The body of every instruction-set unit: the same loops, compiled with that unit's flags inside its own namespace.
// Only own functions and builtins in here, no std templates: see kernel_table.h.
#include "cpu/isa/kernel_table.h"

namespace lswag {
namespace LSWAG_ISA {

#include "cpu/isa/vector.inl"
//
#include "cpu/gradient/moments.inl"
#include "cpu/gradient/pack.inl"
#include "cpu/gradient/tiles/tile.inl"
#ifdef LSWAG_AMX_TILES
#include "cpu/isa/tile_registers.inl"
//
#include "cpu/gradient/tiles/pairs.inl"
#include "cpu/gradient/tiles/pieces_amx.inl"
#include "cpu/gradient/tiles/tile_amx.inl"
#include "cpu/product/product_amx.inl"
#elif defined(LSWAG_BF16_DOTS)
constexpr int kBlockPairs = 1;
#include "cpu/gradient/tiles/pairs.inl"
#include "cpu/gradient/tiles/tile_dots.inl"
constexpr const GradientOps<float>* kPiecesOps = nullptr;
constexpr const ProductOps* kProductOps = nullptr;
#else
constexpr const GradientOps<float>* kPairedOps = nullptr;
constexpr const GradientOps<float>* kPiecesOps = nullptr;
constexpr const ProductOps* kProductOps = nullptr;
#endif
#include "cpu/isa/fma_loop.inl"
#include "cpu/patterns/agreement_counts.inl"
#include "cpu/patterns/pack_signs.inl"

template <class T>
constexpr GradientOps<T> kGradientOps = {kLanes<T>, LSWAG_TILE_ROWS, LSWAG_TILE_VECTORS, LSWAG_TASK_ROWS, pack<T>,
                                         tile<T>,   tile_samples<T>, depthwise<T>,       merge<T>,        finish<T>,
                                         nullptr};

template <class Bits>
constexpr SignOps<Bits> kSignOps = {accumulate_signs<Bits>, pack_row<Bits>};

extern const KernelTable table = {
    LSWAG_ISA_NAME,       kGradientOps<float>,
    kGradientOps<double>, kPairedOps,
    kPiecesOps,           {kSignOps<uint16_t>, kSignOps<uint32_t>, kSignOps<uint64_t>, count_differing},
    kProductOps,          fma_loop,
};

}  // namespace LSWAG_ISA
}  // namespace lswag
