"""What a space may say of its networks beside the protocol, and what holds where it does not."""

from __future__ import annotations

from typing import Any, Literal, Protocol, cast, runtime_checkable

from lswag_fast import tasks
from lswag_fast.spaces.protocol import SearchSpace

Mode = Literal["train", "eval"]


@runtime_checkable
class NamesTask(Protocol):
    """A space whose networks are made for one task, which may be none of classes.

    Example:
        >>> from lswag_fast.spaces import NasBench201, TransNasMicro
        >>> isinstance(TransNasMicro(), NamesTask), isinstance(NasBench201(), NamesTask)
        (True, False)
    """

    @property
    def task(self) -> str:
        """Name of the task, one that `lswag_fast.tasks.get` knows."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what the networks give for one image; its first length is `num_classes`."""


@runtime_checkable
class NamesDefaults(Protocol):
    """A space that says how its networks are scored unless a caller says otherwise.

    Example:
        >>> from lswag_fast.spaces import AutoFormer, NasBench201
        >>> NasBench201().default_mode, AutoFormer("tiny").default_mode
        ('train', 'eval')
    """

    @property
    def default_mode(self) -> Mode:
        """The mode of the networks: "train" where BatchNorm has to normalise, "eval" where there is none."""

    @property
    def default_init(self) -> str:
        """How the weights are drawn, a value of the option `init`: "own" for as the space builds the networks."""


def task_of(space: SearchSpace) -> str | None:
    """Return the name of the task that the networks of a space are made for; None for any that fits their logits.

    Raises:
        InputError: it names a task that there is not.

    Example:
        >>> from lswag_fast.spaces import NasBench201, TransNasMicro
        >>> task_of(TransNasMicro()), task_of(NasBench201())
        ('classification', None)
    """
    task: str | None = getattr(space, "task", None)
    return None if task is None else tasks.get(task).name


def output_shape_of(space: SearchSpace) -> tuple[int, ...]:
    """Return the shape of what the networks give for one image: logits, where a space does not say.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> output_shape_of(NasBench201())
        (10,)
    """
    return tuple(getattr(space, "output_shape", (space.num_classes,)))


def default_mode_of(space: SearchSpace) -> Mode | None:
    """Return the mode in which the networks of a space are scored; None for as they are built.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> default_mode_of(NasBench201())
        'train'
    """
    return cast("Mode | None", getattr(space, "default_mode", None))


def default_init_of(space: SearchSpace) -> Any:
    """Return the initialisation with which the networks of a space are scored: "own", where a space does not say.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> default_init_of(NasBench201())
        'own'
    """
    return getattr(space, "default_init", "own")
