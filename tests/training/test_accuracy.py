"""Accuracy: counted as by a plain loop, with Wilson's interval; BatchNorm statistics; the model is left as it was."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from lswag_fast.errors import InputError, NonFiniteOutputError
from lswag_fast.training.accuracy import Accuracy, accuracy, recalibrate_batch_norm


class Pairs(Dataset):
    """The pairs of a TensorDataset, one by one."""

    def __init__(self, tensors):
        self.tensors = tensors

    def __len__(self):
        return len(self.tensors)

    def __getitem__(self, i):
        image, label = self.tensors[i]
        return image, int(label)


@pytest.fixture
def dataset():
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(37, 3, 4, 4, generator=generator), torch.randint(5, (37,), generator=generator))


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 5))


@pytest.mark.parametrize("batch_size", [1, 8, 37, 100])
def test_counts_as_one_image_after_the_other(dataset, model, batch_size):
    model.eval()
    expected = sum(int(model(image[None])[0].argmax()) == int(label) for image, label in dataset)
    assert 0 < expected < len(dataset)
    for data in (dataset, Pairs(dataset)):
        assert accuracy(model, data, batch_size) == Accuracy(expected, 37)


@pytest.mark.parametrize("kind", [lambda tensors: tensors, Pairs], ids=["tensors", "pairs"])
def test_the_model_and_the_random_state_are_left_as_they_were(dataset, model, kind):
    model.train()
    model[2].eval()
    state, random_state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    accuracy(model, kind(dataset))
    assert [module.training for module in model] == [True, True, False, True, True]
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (1, 10), (97, 100), (2000, 2000)])
def test_the_interval_is_wilsons(correct, n):
    z, p = 1.959963984540054, correct / n  # the 97.5 % point of the normal
    middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # Both are sums of a few float64.
    expected = [max(0, (middle - half) / (1 + z**2 / n)), min(1, (middle + half) / (1 + z**2 / n))]
    assert Accuracy(correct, n).interval == pytest.approx(expected, abs=1e-12)


def test_batch_norm_takes_the_statistics_of_the_images():
    images = torch.randn(60, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.5)).eval()
    model[0].running_mean.fill_(99.0)
    random_state = torch.get_rng_state()
    recalibrate_batch_norm(model, images, batch_size=30)
    halves = images.split(30)
    mean = torch.stack([half.mean((0, 2, 3)) for half in halves]).mean(0)
    variance = torch.stack([half.var((0, 2, 3)) for half in halves]).mean(0)
    torch.testing.assert_close(model[0].running_mean, mean)
    torch.testing.assert_close(model[0].running_var, variance)
    assert not model.training and not model[0].training and model[0].momentum == 0.1
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_last_image_alone_is_left_out():
    images = torch.tensor([[1.0], [3.0], [100.0]])
    model = nn.BatchNorm1d(1)
    recalibrate_batch_norm(model, images, batch_size=2)
    assert model.running_mean.item() == 2


@pytest.mark.parametrize(
    ("labels", "outputs", "error", "message"),
    [
        ([0, 5], torch.zeros(2, 5), InputError, "found the label 5, the network has 5 classes"),
        ([0, 1], torch.zeros(2, 5, 2), InputError, r"returns \(2, 5, 2\) for 2 images, expected logits"),
        ([0, 1], None, InputError, "returns NoneType"),
        ([0, 1], torch.tensor([[0, math.nan], [0, 1]]), NonFiniteOutputError, "NaN or infinite for 1 of 2 images"),
    ],
)
def test_what_has_no_accuracy(labels, outputs, error, message):
    class Fixed(nn.Module):
        def forward(self, x):
            return outputs

    with pytest.raises(error, match=message):
        accuracy(Fixed(), TensorDataset(torch.zeros(2, 1), torch.tensor(labels)))


def test_no_images():
    with pytest.raises(InputError, match="there are no images"):
        accuracy(nn.Identity(), TensorDataset(torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64)))
