"""The shapes of the measured networks that the benchmarks of kernels share."""

N_TOKENS = 197
# (samples, input features, output features) of the weights of an Autoformer-S block.
VIT_WEIGHTS = {
    "qkv": (32, 384, 1152),
    "proj": (32, 384, 384),
    "fc1": (32, 384, 1344),
    "fc2": (32, 1344, 384),
    "fc1_batch8": (8, 384, 1344),
}
