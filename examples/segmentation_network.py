"""Score a segmentation network: a class for each pixel, pixels that do not count, and a loss of one's own."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lswag_fast

N_CLASSES, UNLABELLED = 4, 255


class Segmenter(nn.Module):
    """An encoder, a decoder, and a shortcut between them: (B, 3, H, W) -> (B, N_CLASSES, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.head = nn.Conv2d(2 * width, N_CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of each pixel."""
        fine = self.encode(images)
        return self.head(torch.cat([fine, F.relu(self.up(self.down(fine)))], dim=1))


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return one minus the Dice coefficient, for each image: a loss of one's own gives one number per sample."""
    counts = (masks != UNLABELLED)[:, None]
    wanted = F.one_hot(masks.where(masks != UNLABELLED, 0), N_CLASSES).movedim(-1, 1) * counts
    found = logits.softmax(dim=1) * counts
    overlap, sizes = (found * wanted).sum(dim=(2, 3)), (found + wanted).sum(dim=(2, 3))
    return 1 - ((2 * overlap + 1) / (sizes + 1)).mean(dim=1)


def main() -> None:
    """Score it by cross-entropy and by the Dice loss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a small network and small images")
    args = parser.parse_args()

    torch.manual_seed(0)
    width, size, n_images = (8, 16, 8) if args.tiny else (32, 96, 16)
    model = Segmenter(width)
    images, masks = torch.randn(n_images, 3, size, size), torch.randint(N_CLASSES, (n_images, size, size))
    masks[:, :2] = UNLABELLED
    options = {"pattern_samples": n_images}
    by_entropy = lswag_fast.score(model, (images, masks), ignore_index=UNLABELLED, **options)
    by_dice = lswag_fast.score(model, (images, masks), loss_fn=dice_loss, **options)
    print(f"cross-entropy: {float(by_entropy):.4g}\nDice:          {float(by_dice):.4g}")


if __name__ == "__main__":
    main()
