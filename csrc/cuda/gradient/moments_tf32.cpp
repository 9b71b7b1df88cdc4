#include "cuda/gradient/moments.h"

namespace lswag {
namespace cuda {

void launch_moments_tf32(const MomentsJob& job, simt::Stream stream) { launch_moments<Tf32Math>(job, stream); }

}  // namespace cuda
}  // namespace lswag
