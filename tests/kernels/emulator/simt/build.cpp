// What the emulated kernels say of themselves.
#include "kernels.h"

namespace lswag {
namespace cuda {

Build build() { return {"emulated", "host"}; }

int driver_version() { return 0; }

}  // namespace cuda
}  // namespace lswag
