"""The loop on a folder of images, one sub-folder per class: score, search, continue, export."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from PIL import Image

import lswag_fast
from lswag_fast import Budget, data, search, spaces
from lswag_fast.data.sources import digits


def write_digits(folder: Path, n_images: int) -> None:
    """Write handwritten digits as pictures, in the place of a folder of your own."""
    source = digits()
    for i, label in enumerate(source.labels[:n_images]):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray((source.read(i)[0] * 255).byte().numpy()).save(folder / str(label) / f"{i}.png")


def main() -> None:
    """Go through the loop; called again, it continues the search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="a folder with one sub-folder per class (default: digits)")
    parser.add_argument("--out", type=Path, default=Path("image_folder_run"))
    parser.add_argument("--tiny", action="store_true", help="few trials, small images")
    args = parser.parse_args()

    size, n_samples, n_trials = (16, 16, 4) if args.tiny else (64, 32, 200)
    images = args.images or args.out / "images"
    if args.images is None:
        write_digits(images, 200)
    drawn = data.load(images, batch_size=n_samples, image_size=size)
    print(drawn.description)

    space = spaces.AutoFormer(
        embed_dim=(48, 64, 96),
        depth=(2, 3, 4),
        num_heads=(1, 2),
        mlp_ratio=(2.0, 4.0),
        image_size=size,
        patch_size=size // 8,
        num_classes=drawn.num_classes,
    )
    # What is in the folder already is not scored again: a larger n_trials adds to it.
    result = search(space, drawn.batch, budget=Budget(params="..500K"), n_trials=n_trials, storage=args.out / "search")
    best = result.best
    print(f"trial {best.number} of {len(result.trials)}: {best.n_params:,} parameters, score {best.score:.4g}")
    for trial in result.front():
        print(f"  the best of at most {trial.n_params:,} parameters: {trial.score:.4g}")

    torch.manual_seed(0)
    model = space.build(best.arch)  # with weights of its own, ready to be trained
    again = lswag_fast.score(model, drawn.batch, pattern_samples=n_samples)
    print(f"with other weights: {float(again):.4g}")
    (args.out / "best.json").write_text(json.dumps(best.arch))
    torch.save(model.state_dict(), args.out / "best.pt")
    print(f"the architecture and its weights: {args.out}/best.json, best.pt; all trials: {args.out}/search/trials.csv")


if __name__ == "__main__":
    main()
