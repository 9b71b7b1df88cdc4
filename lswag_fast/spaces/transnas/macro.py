"""The macro space of TransNAS-Bench-101 (Duan et al., CVPR 2021): 3,256 skeletons of one residual block."""

from __future__ import annotations

import itertools
import random
from functools import cache
from typing import Any

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.protocol import Arch, ChoosingTrial
from lswag_fast.spaces.transnas.base import TransNas

_DIGITS = "1234"
_DEPTHS = (4, 5, 6)
_MAX_WIDER = 3
_MAX_SMALLER = 4


class TransNasMacro(TransNas):
    """The skeletons of the benchmark: four to six stages of two residual blocks.

    An architecture is `{"network": "64-<digits>-basic"}`, as published, one digit a stage: 1 leaves the shape, 2
    doubles the channels, 3 halves the sides, 4 does both. From one to three stages double the channels, from one to
    four halve the sides. The networks end in the head or the decoder of a task.

    Args:
        task: the name of its column: class_object, class_scene, room_layout, jigsaw, segmentsemantic, normal or
            autoencoder.
        num_classes: logits, where the task has classes; as in the benchmark by default: 75 objects, 47 scenes, 17
            segments.
        image_size: side of the square images in pixels, 256 by default; of a puzzle that of its 3 x 3 tiles, 192.
        channels: that the stem puts out; 64 in the benchmark, and the number that the string begins with.

    Raises:
        SpaceError: there is no such task, or its networks cannot have these sizes.

    Example:
        >>> import torch
        >>> space = TransNasMacro(num_classes=47, image_size=64, channels=8)
        >>> space.build({"network": "8-1234-basic"})(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 47])
    """

    name = "transnas-macro"
    most_halvings = _MAX_SMALLER

    @property
    def size(self) -> int:
        """Number of skeletons.

        Example:
            >>> TransNasMacro().size
            3256
        """
        return len(_members())

    def sample(self, rng: random.Random) -> Arch:
        """Draw one of all skeletons uniformly.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> TransNasMacro().sample(random.Random(0))
            {'network': '64-141321-basic'}
        """
        return self._arch(rng.choice(_members()))

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Change, put in or take out one stage, all ways that lead to a member being equally likely.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space other than `arch`.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = TransNasMacro(), random.Random(0)
            >>> len(space.stages(space.mutate({"network": "64-1234-basic"}, rng))) in (4, 5)
            True
        """
        stages = self.stages(arch)
        return self._arch(rng.choice([found for found in _neighbours(stages) if _is_member(found)]))

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take the depth of one of the parents, and each stage from one that has it, until this is a member.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Raises:
            SpaceError: a parent is not a member of the space.

        Example:
            >>> space, rng = TransNasMacro(), random.Random(0)
            >>> a = space.sample(rng)
            >>> space.crossover(a, a, rng) == a
            True
        """
        parents = self.stages(a), self.stages(b)
        while True:
            depth = len(rng.choice(parents))
            choices = ([parent[place] for parent in parents if place < len(parent)] for place in range(depth))
            child = "".join(rng.choice(choice) for choice in choices)
            if _is_member(child):
                return self._arch(child)

    def suggest(self, trial: ChoosingTrial) -> Arch:
        """Return the skeleton that a trial of Optuna chooses, see `Suggests`.

        It chooses n_stages, then the digit of each stage among those from which a member can still be reached; the name
        of a choice says which these are, "stage_2 of 134" say.
        """
        depth = trial.suggest_categorical("n_stages", _DEPTHS)
        digits = ""
        while len(digits) < depth:
            allowed = _continuations(digits, depth)
            digits += trial.suggest_categorical(_choice_name(digits, allowed), tuple(allowed))
        return self._arch(digits)

    def suggested(self, arch: Arch) -> dict[str, Any]:
        """Return the choices that a skeleton is made of, see `Suggests`."""
        digits = self.stages(arch)
        before = [digits[:place] for place in range(len(digits))]
        chosen = {_choice_name(b, _continuations(b, len(digits))): digits[len(b)] for b in before}
        return {"n_stages": len(digits), **chosen}

    def stages(self, arch: Arch) -> str:
        """Return the digits of the stages.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> TransNasMacro().stages({"network": "64-1234-basic"})
            '1234'
        """
        return self._parts(arch)[0]

    def parsed(self, network: object) -> tuple[str, str | None]:
        """Return the digits of the stages, and None for the block, which is always the same.

        Raises:
            SpaceError: `network` is not the string of a member.

        Example:
            >>> TransNasMacro().parsed("64-1234-basic")
            ('1234', None)
        """
        head, end = f"{self.channels}-", "-basic"
        if isinstance(network, str) and network.startswith(head) and network.endswith(end):
            digits = network[len(head) : -len(end)]
            if _is_member(digits):
                return digits, None
        raise SpaceError(
            f"network: found {str(network)[:60]!r}, expected {head}<4 to 6 digits>{end}, the digits from 1 to 4; 1 to "
            f"{_MAX_WIDER} of them double the channels (2, 4), 1 to {_MAX_SMALLER} halve the sides (3, 4)"
        )

    def _arch(self, digits: str) -> Arch:
        return {"network": f"{self.channels}-{digits}-basic"}


@cache
def _members() -> tuple[str, ...]:
    every = ("".join(digits) for depth in _DEPTHS for digits in itertools.product(_DIGITS, repeat=depth))
    return tuple(digits for digits in every if _is_member(digits))


def _choice_name(digits: str, allowed: str) -> str:
    return f"stage_{len(digits)} of {allowed}"


@cache
def _continuations(digits: str, depth: int) -> str:
    """The digits that may follow the first ones of a skeleton of that depth."""
    return "".join(sorted({m[len(digits)] for m in _members() if len(m) == depth and m.startswith(digits)}))


def _is_member(digits: str) -> bool:
    wider, smaller = (sum(digit in which for digit in digits) for which in ("24", "34"))
    known = len(digits) in _DEPTHS and all(digit in _DIGITS for digit in digits)
    return known and 1 <= wider <= _MAX_WIDER and 1 <= smaller <= _MAX_SMALLER


def _neighbours(digits: str) -> list[str]:
    """Every string that one changed, added or removed digit makes."""
    places = range(len(digits))
    changed = [digits[:i] + new + digits[i + 1 :] for i in places for new in _DIGITS.replace(digits[i], "")]
    longer = [digits[:i] + new + digits[i:] for i in range(len(digits) + 1) for new in _DIGITS]
    return changed + longer + [digits[:i] + digits[i + 1 :] for i in places]
