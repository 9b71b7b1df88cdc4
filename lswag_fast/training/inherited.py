"""The accuracy of a sub-network with the weights that it inherits from a trained supernet, as a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils.data import TensorDataset

from lswag_fast.data.splits import ImageSplits
from lswag_fast.errors import InputError
from lswag_fast.observe import fast_linear_layers
from lswag_fast.score_job import ScoreJob
from lswag_fast.spaces import SearchSpace
from lswag_fast.training.accuracy import BATCH_SIZE, accuracy, recalibrate_batch_norm

INHERITED_ACCURACY = "inherited_accuracy"
N_IMAGES = 2000
"""Images of the validation split that an accuracy is measured on."""
N_CALIBRATION = 512
"""Images of the training split that BatchNorm statistics are taken from."""


class InheritedAccuracy:
    """A score of a network that has trained weights: the share of a batch's images that it tells right.

    Args:
        calibration: images to train on, which the statistics of BatchNorm are taken from; None leaves them as they are.
        batch_size: images in a forward pass.

    Example:
        >>> import torch
        >>> InheritedAccuracy()(nn.Identity(), (torch.eye(4), torch.tensor([0, 1, 2, 0])))
        0.75
    """

    def __init__(self, calibration: Tensor | None = None, batch_size: int = BATCH_SIZE) -> None:
        self.calibration = calibration
        self.batch_size = batch_size

    def __repr__(self) -> str:
        return INHERITED_ACCURACY  # its name in the settings of a study

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> float:
        """Return the share of the images that are right; changes the statistics of BatchNorm.

        Linear layers multiply as in a score, which decides the last bits of the logits.
        """
        if self.calibration is not None:
            recalibrate_batch_norm(model, self.calibration, self.batch_size)
        with fast_linear_layers(model):
            return accuracy(model, TensorDataset(*batch), self.batch_size).value


def inherited_accuracy_job(
    space: SearchSpace,
    weights: Mapping[str, Tensor],
    images: ImageSplits,
    *,
    n_images: int = N_IMAGES,
    n_threads: int = 1,
) -> ScoreJob:
    """Return the job that measures the accuracy of an architecture with inherited weights on the validation split.

    Args:
        space: the space.
        weights: the trained weights that its networks are cut out of.
        images: split as they were when the weights were trained.
        n_images: how many images of the validation split to measure on; all where it has fewer.
        n_threads: of torch, for each architecture.

    Raises:
        InputError: the images are not of the shape that the networks take, or of more classes.

    Example:
        >>> import random
        >>> from lswag_fast import spaces
        >>> from lswag_fast.data.splits import split_images
        >>> choices = {"embed_dim": (16, 32), "depth": 1, "num_heads": 1, "mlp_ratio": 2}
        >>> space = spaces.AutoFormer(**choices, image_size=8, patch_size=4, num_classes=10)
        >>> job = inherited_accuracy_job(space, space.init_weights(0), split_images("digits", image_size=8))
        >>> 0 <= job(space.encode(space.sample(random.Random(0))))["score"] < 0.5  # not trained
        True
    """
    batch = images.validation.tensors(n_images)
    check_images(space, batch, images.num_classes)
    calibration, _ = images.train.tensors(N_CALIBRATION)
    return ScoreJob(space, batch, function=InheritedAccuracy(calibration), n_threads=n_threads, weights=weights)


def check_images(space: SearchSpace, batch: tuple[Any, Any], num_classes: int) -> None:
    """Refuse images that the networks of a space cannot tell apart.

    Raises:
        InputError: they have another shape, or more classes.

    Example:
        >>> import torch
        >>> from lswag_fast import spaces
        >>> check_images(spaces.NasBench201(image_size=8), (torch.zeros(2, 3, 8, 8), torch.zeros(2)), num_classes=2)
    """
    found = tuple(batch[0].shape[1:])
    if found != tuple(space.input_shape):
        raise InputError(f"the images are {found}, the networks of {space.name} take {tuple(space.input_shape)}")
    if num_classes > space.num_classes:
        raise InputError(
            f"the images have {num_classes} classes, the networks of {space.name} tell {space.num_classes} apart"
        )
