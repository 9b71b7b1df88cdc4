#include "cuda/gradient/moments.h"

namespace lswag {
namespace cuda {

void launch_moments_f16(const MomentsJob& job, simt::Stream stream) { launch_moments<Float16Math>(job, stream); }

}  // namespace cuda
}  // namespace lswag
