"""Train Mask R-CNN of torchvision on an architecture that `lswag-fast export --arch best --backbone` wrote."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler
from torchvision.models.detection import MaskRCNN

from lswag_fast import spaces

N_CLASSES = 91  # of COCO, with the background


class Squares(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Two images of noise with a square each, to see it run."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, place: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return an image, and the box, the label and the mask of its square."""
        if not 0 <= place < len(self):
            raise IndexError(place)
        mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
        mask[:, 8:40, 16:56] = 1
        box = torch.tensor([[16.0, 8.0, 56.0, 40.0]])
        return torch.rand(3, 64, 64) + mask, {"boxes": box, "labels": torch.tensor([place + 1]), "masks": mask}


def coco(folder: Path) -> Dataset[Any]:
    """Return the training images of COCO 2017 that have objects; needs pycocotools."""
    from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2
    from torchvision.transforms import v2

    steps = [v2.ToImage(), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True)]
    images = CocoDetection(
        str(folder / "train2017"), str(folder / "annotations/instances_train2017.json"), transforms=v2.Compose(steps)
    )
    wrapped = wrap_dataset_for_transforms_v2(images, target_keys=["boxes", "labels", "masks"])
    return torch.utils.data.Subset(wrapped, [place for place, i in enumerate(images.ids) if images.coco.getAnnIds(i)])


def exported_network(folder: Path, weights: Path | None) -> nn.Module:
    """Build the network of an export, with its weights or with those of `lswag-fast train`."""
    from safetensors.torch import load_model

    content = json.loads((folder / "architecture.json").read_text())
    network = spaces.get(content["space"], **content["metadata"]["space_options"]).build(content["arch"])
    load_model(network, str(weights or folder / content["weights"]))
    return network


def detector(network: nn.Module, tiny: bool) -> MaskRCNN:
    """Return Mask R-CNN on a network; images get one size where the network takes no other."""
    backbone = spaces.backbone(network, out_channels=8 if tiny else 256)
    few = {"rpn_pre_nms_top_n_train": 20, "rpn_post_nms_top_n_train": 8, "box_batch_size_per_image": 4}
    sizes: dict[str, Any] = {"min_size": 64, "max_size": 64, **few} if tiny else {}
    if backbone.image_size is not None:
        sizes["fixed_size"] = (backbone.image_size, backbone.image_size)
    return MaskRCNN(backbone, num_classes=N_CLASSES, **sizes)


def batches(images: Dataset[Any], batch_size: int, n_workers: int, epoch: int) -> Iterator[tuple[Any, Any]]:
    """Yield the images and the targets of an epoch, of this process where there are several."""
    sampler = DistributedSampler(images, seed=0) if torch.distributed.is_initialized() else None
    if sampler is not None:
        sampler.set_epoch(epoch)
    loader = DataLoader(
        images, batch_size, shuffle=sampler is None, sampler=sampler, num_workers=n_workers, collate_fn=list
    )
    for pairs in loader:
        found, targets = zip(*pairs, strict=True)
        yield list(found), list(targets)


def train(model: nn.Module, images: Dataset[Any], args: argparse.Namespace, device: torch.device) -> None:
    """Train by SGD, and print the mean loss of each epoch."""
    optimiser = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    steps = [args.epochs * 2 // 3, args.epochs * 11 // 12]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, steps)
    for epoch in range(args.epochs):
        losses = []
        for found, targets in batches(images, args.batch_size, args.workers, epoch):
            placed = [{key: value.to(device) for key, value in target.items()} for target in targets]
            loss = sum(model([image.to(device) for image in found], placed).values())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        schedule.step()
        print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.4g}")


def main() -> None:
    """Train, and write the weights of the detector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="one step on two images of noise, without an export")
    parser.add_argument("--export", type=Path, help="folder of lswag-fast export --arch best --backbone")
    parser.add_argument("--weights", type=Path, help="weights.safetensors of lswag-fast train (default: the export's)")
    parser.add_argument("--coco", type=Path, help="folder with train2017/ and annotations/")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=2, help="images of one process")
    parser.add_argument("--lr", type=float, default=0.02, help="for 16 images a step")
    parser.add_argument("--workers", type=int, default=4, help="processes that read images, of one process")
    parser.add_argument("--out", type=Path, default=Path("mask_rcnn.pt"))
    args = parser.parse_args()
    if not args.tiny and (args.export is None or args.coco is None):
        parser.error("--export and --coco, or --tiny")

    torch.manual_seed(0)
    if args.tiny:
        args.epochs, args.lr, args.workers = 1, 1e-3, 0
        space = spaces.ProxylessNas(width_mult=0.25, num_classes=10)
        network, images = space.build({"blocks": ["3x3_MBConv3"] * 21}), Squares()
    else:
        network, images = exported_network(args.export, args.weights), coco(args.coco)
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    model: nn.Module = detector(network, args.tiny).to(device)
    is_first = True
    if "LOCAL_RANK" in os.environ:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        is_first = torch.distributed.get_rank() == 0
        model = DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)
    train(model, images, args, device)
    if is_first:
        torch.save((model.module if isinstance(model, DistributedDataParallel) else model).state_dict(), args.out)
        print(f"weights: {args.out}")


if __name__ == "__main__":
    main()
