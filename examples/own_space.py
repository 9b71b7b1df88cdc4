"""A search space of one's own, and a search in it."""

from __future__ import annotations

import argparse
import json

from torch import nn

from lswag_fast import Budget, data, search


class Cnns:
    """Plain CNNs: the widths of three convolutions, and whether each is followed by a pooling."""

    name, input_shape, num_classes = "cnns", (3, 32, 32), 10
    widths, size = (16, 32, 48, 64), 8**3

    def sample(self, rng):
        return {"layers": [[rng.choice(self.widths), rng.random() < 0.5] for _ in range(3)]}

    def mutate(self, arch, rng):
        place, drawn = rng.randrange(3), self.sample(rng)["layers"]
        return {"layers": [drawn[i] if i == place else layer for i, layer in enumerate(arch["layers"])]}

    def crossover(self, a, b, rng):
        return {"layers": [rng.choice(pair) for pair in zip(a["layers"], b["layers"], strict=True)]}

    def encode(self, arch):
        return json.dumps(arch)

    def decode(self, text):
        return json.loads(text)

    def n_params(self, arch):
        return sum(parameter.numel() for parameter in self.build(arch).parameters())

    def macs(self, arch):
        channels, side, total = 3, 32, 0
        for width, pools in arch["layers"]:
            total += 9 * channels * width * side**2
            channels, side = width, side // 2 if pools else side
        return total + channels * 10

    def build(self, arch, weights=None):
        layers, channels = [], 3
        for width, pools in arch["layers"]:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), *([nn.MaxPool2d(2)] if pools else [])]
            channels = width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="few architectures, a small batch")
    n_trials, n_samples = (6, 8) if parser.parse_args().tiny else (100, 32)
    batch = data.load("digits", batch_size=n_samples, image_size=32).batch
    result = search(Cnns(), batch, n_trials=n_trials, budget=Budget(params="..50K"), seed=0)
    print(result.best.arch, f"score {result.best.score:.4g}, {result.best.n_params:,} parameters")
