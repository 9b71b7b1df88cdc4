"""Score ten networks of timm and draw the scores against their parameters."""

from __future__ import annotations

import argparse

from matplotlib.figure import Figure

import lswag_fast
from lswag_fast import data
from lswag_fast.integrations import named_network

NETWORKS = (
    "resnet18",
    "resnet50",
    "mobilenetv3_small_100",
    "efficientnet_b0",
    "regnety_004",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "deit_small_patch16_224",
    "mixer_s32_224",
    "levit_128s",
)
TINY = ("mobilenetv3_small_100", "vit_tiny_patch16_224")


def main() -> None:
    """Print a table, and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="timm_networks.png")
    parser.add_argument("--tiny", action="store_true", help="two networks, small images")
    args = parser.parse_args()

    size, n_samples = (64, 4) if args.tiny else (224, 16)
    # One batch for all: scores are comparable only at the same data, batch size and options.
    batch = data.load("digits", batch_size=n_samples, image_size=size).batch
    found = {}
    for name in TINY if args.tiny else NETWORKS:
        model = named_network(f"timm:{name}", num_classes=10, image_size=size).model
        # Some of them start with branches that are switched off: "rescue" switches them on, in a copy of the weights.
        scores = lswag_fast.score_many(
            model, batch, proxies=["lswag", "params"], init="rescue", pattern_samples=n_samples
        )
        found[name] = scores["params"].value, scores["lswag"].value
        print(f"{name:<28}{found[name][0] / 1e6:8.2f} M parameters{found[name][1]:14.4g}")

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for name, (n_params, score) in found.items():
        axes.scatter(n_params, score)
        axes.annotate(name, (n_params, score), fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="L-SWAG score, higher is better")
    figure.savefig(args.out)
    print(args.out)


if __name__ == "__main__":
    main()
