"""What a user brings along: networks, and a search space of one's own without anything of this package."""

import itertools
import json

import torch
from torch import nn


def cnn():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))


def batchnorm():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 10))


class Decoder(nn.Module):
    """Tells the next byte of each from the running sum of those before."""

    vocabulary = 256

    def __init__(self):
        super().__init__()
        self.table, self.mix, self.head = nn.Embedding(self.vocabulary, 8), nn.Linear(8, 12), nn.Linear(12, 256)

    def forward(self, tokens):
        return self.head(torch.relu(self.mix(self.table(tokens).cumsum(1))))


class Encoder(Decoder):
    """Has a token more, for hidden bytes."""

    vocabulary = 257


class Mlps:
    name = "mlps"
    input_shape = (3, 8, 8)
    num_classes = 10
    widths = (8, 16, 24, 32)
    size = 16

    def sample(self, rng):
        return {"widths": [rng.choice(self.widths) for _ in range(2)]}

    def mutate(self, arch, rng):
        return {"widths": [rng.choice(self.widths), arch["widths"][1]]}

    def crossover(self, a, b, rng):
        return {"widths": [a["widths"][0], b["widths"][1]]}

    def encode(self, arch):
        return json.dumps(arch)

    def decode(self, text):
        return json.loads(text)

    def macs(self, arch):
        return sum(i * o for i, o in itertools.pairwise([192, *arch["widths"], 10]))

    def n_params(self, arch):
        return self.macs(arch) + sum(arch["widths"]) + 10

    def build(self, arch, weights=None):
        a, b = arch["widths"]
        return nn.Sequential(nn.Flatten(), nn.Linear(192, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, 10))
