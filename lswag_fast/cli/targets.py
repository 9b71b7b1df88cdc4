"""How a space, a network or a batch is found by the words on the command line."""

from __future__ import annotations

import argparse
import copy
import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from lswag_fast.cli.options import SPACE_OPTIONS, flag_of, space_set
from lswag_fast.cli.values import naming
from lswag_fast.errors import InputError, SpaceError, UnsupportedModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lswag_fast.data.images import ImageBatch
    from lswag_fast.data.texts import TextBatch
    from lswag_fast.options import ScoreOptions
    from lswag_fast.spaces import SearchSpace


def space_options(args: argparse.Namespace, name: str | None = None) -> dict[str, Any]:
    """Return the options of the space `name` that were given; without a name of the space that SPACE says.

    --task is one where a space has networks for several; of others it says what their logits are for.
    """
    from lswag_fast import spaces

    chosen = getattr(args, "space", "") if name is None else name
    keys = (*SPACE_OPTIONS, "task") if "task" in spaces.options(chosen) else SPACE_OPTIONS
    return {key: value for key in keys if (value := getattr(args, key, None)) is not None} | space_set(args)


def space_words(args: argparse.Namespace) -> list[Any]:
    """The options of the space SPACE as words of a command."""
    further = [word for item in getattr(args, "space_set", ()) for word in ("--space-set", item)]
    named = (item for item in space_options(args).items() if item[0] not in space_set(args))
    return [*(word for key, value in named for word in (flag_of(key), value)), *further]


def find_space(name: str, args: argparse.Namespace) -> SearchSpace:
    """Return the space `name` with the options given, or what `package.module:factory` returns.

    Where --init is one and was not given, it becomes what the space says.

    Raises:
        SpaceError: there is no such space, or it does not take an option given.
        InputError: there is no such factory.
    """
    from lswag_fast import spaces
    from lswag_fast.spaces.traits import default_init_of

    options = space_options(args, name)
    space: SearchSpace = make(name) if ":" in name else _named_space(name, options, space_set(args))
    with naming(name):
        spaces.check_space(space)
    if options and ":" in name:
        first = next(iter(options))
        flag = f"--space-set {first}" if first in space_set(args) else flag_of(first)
        raise SpaceError(f"{flag}: {name} decides this itself; leave it out")
    if getattr(args, "init", "") is None:
        args.init = default_init_of(space)
    return space


def _named_space(name: str, options: Mapping[str, Any], further: Collection[str]) -> SearchSpace:
    """Return a space by its name; where one of the `further` options is wrong, say that it is of --space-set."""
    from lswag_fast import spaces

    try:
        return spaces.get(name, **options)
    except SpaceError as error:
        if str(error).partition(":")[0] in further:
            raise SpaceError(f"--space-set {error}") from error
        raise


def networks_in_words(space: SearchSpace, args: argparse.Namespace, options: ScoreOptions) -> str:
    """How the networks of a space are scored: what decides the values and was perhaps not said on the command line."""
    from lswag_fast.options import function_name
    from lswag_fast.spaces import TakesTokens
    from lswag_fast.spaces.traits import default_mode_of

    mode = args.mode or default_mode_of(space) or "as built"
    loss = options.loss_name or (function_name(options.loss_fn) if callable(options.loss_fn) else "cross_entropy")
    task = options.task or ("tokens" if isinstance(space, TakesTokens) else "classification")
    return f"networks: {space.name}, mode {mode}, init {options.init}, task {task}, loss {loss}"


def member(network: str) -> tuple[str, str] | None:
    """Return the space and the architecture that SPACE:ARCHJSON names; None for anything else."""
    from lswag_fast import spaces

    name, _, arch = network.partition(":")
    if name in spaces.names():
        return name, arch
    # A space of the user's own is package.module:factory, too; its architecture begins at the brace.
    name, brace, fields = network.partition(":{")
    return (name, "{" + fields) if brace else None


def checkpoint(space: SearchSpace, args: argparse.Namespace) -> Mapping[str, Tensor] | None:
    """Return the supernet weights of `--checkpoint`, None when it is not given.

    Raises:
        InputError: the space reads no checkpoints, or the file cannot be read.
        SpaceError: the file holds other weights than the space's.
    """
    if args.checkpoint is None:
        if getattr(args, "new_head", False):
            raise InputError("--new-head is of the weights of --checkpoint; leave it out")
        return None
    load: Callable[[Any], Mapping[str, Tensor]] | None = getattr(space, "load_checkpoint", None)
    if load is None:
        raise InputError(f"--checkpoint: {space.name} reads no checkpoints; leave it out")
    with naming("--checkpoint"):
        return load(args.checkpoint, **new_head(load, args.seed)) if args.new_head else load(args.checkpoint)


def new_head(load: Callable[..., Any], seed: int) -> dict[str, Any]:
    """What a space is told that reads a checkpoint without its head; raises InputError where it cannot."""
    if "with_head" not in inspect.signature(load).parameters:
        raise InputError("this space reads its checkpoints whole; leave --new-head out")
    return {"with_head": False, "seed": seed}


def python_of(name: str, args: argparse.Namespace) -> tuple[str, str]:
    """Return what Python imports for the space `name`, and the expression that makes it with the options given."""
    if ":" in name:
        module, _, attribute = name.partition(":")
        return module, f"{module}.{attribute}()"
    written = "".join(f", {key}={value!r}" for key, value in space_options(args, name).items())
    return "lswag_fast", f"lswag_fast.spaces.get({name!r}{written})"


def network_batch(
    model: nn.Module, source: str, image_size: int, num_classes: int | None, args: argparse.Namespace, **shapes: Any
) -> ImageBatch:
    """Draw the batch that the options ask for, for a network of no space, with the targets of --task.

    What the network gives for two images tells the shape of targets that are drawn.

    Raises:
        InputError, DataError: as of `load_batch`.
        UnsupportedModelError: it cannot compute with such images.
    """
    import torch

    drawn = load_batch(source, image_size, num_classes, args, **shapes)
    if args.task is None:
        return drawn
    try:
        with torch.no_grad():
            outputs = copy.deepcopy(model).eval()(drawn.images[:2])
    except RuntimeError as error:
        words = f"{args.network} cannot compute with images of shape {tuple(drawn.images.shape[1:])}"
        raise UnsupportedModelError(f"--task: {words}: {' '.join(str(error).split())}") from error
    logits = getattr(outputs, "logits", outputs)
    if not isinstance(logits, torch.Tensor):
        raise InputError(f"--task: {args.network} returned {type(logits).__name__}; it must return one tensor")
    shape = tuple(logits.shape[1:])
    _check_outputs("--task", args.task, tuple(drawn.images.shape[1:]), shape)
    return load_batch(source, image_size, num_classes, args, task=args.task, output_shape=shape, **shapes)


def _check_outputs(where: str, task: str, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
    """Refuse a task that the networks do not fit, before its targets are made: the images of --data are not at fault.

    Raises:
        InputError: begins with `where`, which says the task.
    """
    import torch

    from lswag_fast import tasks

    channels, side, _ = input_shape
    with naming(where):
        wanted = tasks.get(task)
        blank = torch.zeros(1, channels, *[wanted.source_size(side)] * 2)
        wanted.batch(blank, torch.zeros(1, dtype=torch.int64), output_shape)


def load_batch(
    source: str, image_size: int, num_classes: int | None, args: argparse.Namespace, **shapes: Any
) -> ImageBatch:
    """Draw the batch that the options ask for; `shapes` are further arguments of `lswag_fast.data.load`.

    Raises:
        InputError: --task has no targets for networks of these outputs.
        DataError: the source is missing, unreadable, or does not fit.
    """
    from lswag_fast import data

    with naming("--data"):
        return data.load(
            source,
            batch_size=args.batch_size,
            image_size=image_size,
            seed=args.seed,
            split=args.split,
            num_classes=num_classes,
            **shapes,
        )


def space_batch(space: SearchSpace, args: argparse.Namespace) -> ImageBatch | TextBatch:
    """Draw the batch that the options ask for, of what the networks of a space take and give: images or texts.

    Raises:
        InputError: they take images that are not square, or give what --task has no targets for; --split of texts.
        DataError: as of `load_batch`.
    """
    from lswag_fast.spaces import TakesTokens
    from lswag_fast.spaces.traits import output_shape_of, task_of

    if isinstance(space, TakesTokens):
        return _texts(space, args)
    channels, height, width = space.input_shape
    if height != width:
        raise InputError(
            f"the networks of {space.name} take images of {height} x {width} pixels, and the command line makes square "
            "ones; call lswag_fast in Python with a batch of yours"
        )
    task = task_of(space) or args.task
    shapes: dict[str, Any] = {"channels": channels, "output_shape": output_shape_of(space)}
    if task is not None:
        where = "--task" if task_of(space) is None else space.name
        _check_outputs(where, task, space.input_shape, shapes["output_shape"])
    return load_batch(args.data or "digits", width, space.num_classes, args, task=task, **shapes)


def _texts(space: Any, args: argparse.Namespace) -> TextBatch:
    (length,) = space.input_shape
    return text_batch(space.name, length, space.is_masked, args)


def text_batch(taker: str, length: int, masked: bool, args: argparse.Namespace) -> TextBatch:
    """Draw texts of so many tokens; `taker` is in words what takes them.

    Raises:
        InputError: --split or --task, which texts have none of.
        DataError: --data is no text, or too short a one.
    """
    from lswag_fast.data.texts import load_text

    for option in ("split", "task"):
        if getattr(args, option) is not None:
            raise InputError(f"--{option}: {taker} takes texts, which have none; leave it out")
    with naming("--data"):
        return load_text(args.data or "alice", batch_size=args.batch_size, length=length, masked=masked, seed=args.seed)


def fitting_loss(space: SearchSpace, given: ScoreOptions) -> ScoreOptions:
    """Return the options of a score with the task that a space names; of texts with the loss of tokens, if it has none.

    Raises:
        InputError: the options say another task.
    """
    from lswag_fast.score_job import options_of_space
    from lswag_fast.spaces import TakesTokens

    given = options_of_space(space, given)
    return loss_of_tokens(given) if isinstance(space, TakesTokens) else given


def loss_of_tokens(given: ScoreOptions) -> ScoreOptions:
    """Return the options of a score with the loss of tokens, if they have none.

    Raises:
        InputError: they have --ignore-index or --class-axis, which that loss decides itself.
    """
    from lswag_fast.passes.shared.loss import TokenLoss

    if given.loss_fn is not None:
        return given
    with naming("--ignore-index, --class-axis"):
        return replace(given, loss_fn=TokenLoss())


def network_builder(space: SearchSpace, args: argparse.Namespace) -> Callable[[Any], nn.Module]:
    """Return what builds the network of an architecture, as a search with these options builds it before --init.

    Raises:
        InputError, SpaceError: as of `checkpoint`.
    """
    from lswag_fast.spaces import building
    from lswag_fast.spaces.traits import default_mode_of

    build = building.network_builder(space, checkpoint(space, args), args.seed)
    return lambda arch: prepared(build(arch), args.mode or default_mode_of(space))


def prepared(model: nn.Module, mode: str | None) -> nn.Module:
    """Set a network to a mode; None leaves it as it is."""
    return model if mode is None else model.train(mode == "train")


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Inside, let torch use so many threads; None for as many as it does."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find(target: str) -> Callable[..., Any]:
    """Return what `package.module:name` names; modules in the working folder are found too.

    Raises:
        InputError: the module or the name does not exist, or cannot be called. What goes wrong inside the user's code
            passes through as it is.
    """
    module_name, _, attribute = target.partition(":")
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109 - sys.path holds text
        sys.path.insert(0, here)
    module = _import(module_name, target)
    if not hasattr(module, attribute):
        raise InputError(f"{target}: there is no {attribute!r} in {module_name}{_nearest(module, attribute)}")
    factory = getattr(module, attribute)
    if not callable(factory):
        found = type(factory).__name__
        raise InputError(f"{target}: {attribute!r} in {module_name} must be callable; found {found}")
    return cast("Callable[..., Any]", factory)


def _nearest(module: ModuleType, attribute: str) -> str:
    """What of a module may be meant, in words; nothing where no name is near."""
    near = difflib.get_close_matches(attribute, [name for name, value in vars(module).items() if callable(value)], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def make(target: str) -> Any:
    """Call `package.module:factory` and return the result.

    Raises:
        InputError: as of `find`, or it cannot be called without arguments.
    """
    factory = find(target)
    attribute = target.partition(":")[2]
    if _needs_arguments(factory):
        raise InputError(f"{target}: {attribute!r} must be callable without arguments; name a function that is")
    return factory()


def make_network(target: str) -> nn.Module:
    """Call `package.module:factory` and return the network.

    Raises:
        InputError: as of `make`, or it returned what is no network.
    """
    from torch import nn

    from lswag_fast.spaces import SearchSpace

    network = make(target)
    if isinstance(network, SearchSpace):
        raise InputError(f"{target} returned a search space; name one of its architectures too, {target}:ARCHJSON")
    if not isinstance(network, nn.Module):
        raise InputError(f"{target} returned {type(network).__name__}; it must return a torch.nn.Module")
    return network


def _import(module_name: str, target: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that the user's module imports and misses is not this mistake.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise InputError(f"{target}: there is no module {error.name!r} here or installed") from error
    except (TypeError, ValueError) as error:
        if module_name and not module_name.startswith("."):
            raise
        raise InputError(f"{target!r} names no module; write package.module:factory") from error


def _needs_arguments(factory: Callable[..., Any]) -> bool:
    try:
        inspect.signature(factory).bind()
    except TypeError:
        return True
    except ValueError:  # built-in callables may have no signature
        return False
    return False
