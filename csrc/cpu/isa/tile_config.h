// What a thread keeps of the configuration of its tile registers while it uses its own.
#pragma once

namespace lswag {

constexpr int kTileConfigBytes = 64;

}  // namespace lswag
