"""Every error and warning that lswag_fast raises, in one tree.

Each error is also the builtin a caller would expect, so `except ValueError` keeps working.
"""

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType


class LswagError(Exception):
    """Root of all errors raised on purpose by lswag_fast.

    Example:
        >>> from lswag_fast import spaces
        >>> try:
        ...     spaces.get("resnet")
        ... except LswagError as error:
        ...     print(type(error).__name__, isinstance(error, ValueError))
        SpaceError True
    """


class InputError(LswagError, ValueError):
    """An argument, the batch or an option cannot be used as given."""


class UnsupportedModelError(LswagError, TypeError):
    """The model is of a kind that cannot be observed (scripted, compiled, quantised, ...)."""


class NothingObservedError(LswagError, ValueError):
    """No weight of the model could be observed."""


class LowCoverageError(LswagError, ValueError):
    """Less of the weight matrices could be observed than `min_coverage` asks for."""


class NoActivationsError(LswagError, ValueError):
    """The model calls no activation function that the score knows."""


class NonFiniteGradientError(LswagError, ArithmeticError):
    """A per-sample gradient, the loss or a feature is NaN or infinite."""


class OnnxError(LswagError, RuntimeError):
    """A network cannot be written as ONNX, or would give other outputs there."""


class NonFiniteLossError(LswagError, ArithmeticError):
    """The loss of a training, or a weight after a step of it, is NaN or infinite."""


class NonFiniteOutputError(LswagError, ArithmeticError):
    """An output of a network whose accuracy is measured is NaN or infinite."""


class ZeroVarianceError(LswagError, ArithmeticError):
    """No weight's gradient varies over the samples, so 1/sigma is undefined everywhere."""


class ZeroSaliencyError(LswagError, ArithmeticError):
    """Every weight's saliency is zero: nothing passes through the network, so a sum of saliencies says nothing."""


class ProxyFailedError(LswagError, RuntimeError):
    """A pass or the formula of a proxy ended in an error of the model, of torch or of a proxy's own code.

    `__cause__` is that error.
    """


class NetworkFailedError(LswagError, RuntimeError):
    """The code of a search space or of a network ended in an error, or gave what is no network.

    `__cause__` is that error.
    """


class DeviceMismatchError(LswagError, RuntimeError):
    """The model and the batch lie on different devices."""


class BackendUnavailableError(LswagError, RuntimeError):
    """The binary extension is missing, or was not built for the device or CPU at hand."""


class SpaceError(LswagError, ValueError):
    """A search space is unknown, or an architecture is not a member of its space."""


class BudgetError(LswagError, ValueError):
    """A budget cannot be read, or no architecture of the space meets it."""


class DataError(LswagError, ValueError):
    """A data set is missing, unreadable or too small for the batch asked for."""


class UnnamedSpaceError(InputError):
    """The space of a supernet has no name that it could be made by, so it has to be given."""


class TableError(LswagError, ValueError):
    """A benchmark table lacks a column or rows, names an architecture twice, or cannot be read."""


class StorageError(LswagError, OSError):
    """A run folder cannot be read or written."""


class StorageVersionError(StorageError):
    """A run folder was written by a later version, whose format this one does not know."""


class OtherSettingsError(StorageError):
    """A run folder holds a study that was made with other settings than those to continue it with."""


class PendingTrialsError(LswagError, RuntimeError):
    """The next proposals depend on trials that are still to be told."""


class MissingExtraError(LswagError, ImportError):
    """A package that only some commands need is not installed.

    Args:
        extra: the extra of lswag-fast that installs it.
        package: its name.
    """

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(f"this needs {package}, which is not installed; pip install 'lswag-fast[{extra}]'")


@contextmanager
def needs_extra(extra: str, package: str) -> Iterator[None]:
    """Import an optional package inside of this block.

    Args:
        extra: the extra of lswag-fast that installs it.
        package: its name.

    Raises:
        MissingExtraError: the import failed; says what to type.

    Example:
        >>> try:
        ...     with needs_extra("plot", "matplotlib"):
        ...         import no_such_package
        ... except MissingExtraError as error:
        ...     print(error)
        this needs matplotlib, which is not installed; pip install 'lswag-fast[plot]'
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(extra, package) from error


def reason(error: Exception) -> str:
    """Return why something failed, in the words of the system where it has any: without number and name of the file.

    Example:
        >>> reason(FileNotFoundError(2, "No such file or directory", "vit.csv")), reason(ValueError("line 3"))
        ('No such file or directory', 'line 3')
    """
    return str(getattr(error, "strerror", None) or error)


def told(error: Exception) -> str:
    """Return what other code raised, in one line: its type, its words, and the line of that code which led to it.

    Example:
        >>> try:
        ...     [][0]
        ... except IndexError as error:
        ...     print(told(error).partition(" (")[0])
        IndexError: list index out of range
    """
    words = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    lines = [entry for entry in traceback.walk_tb(error.__traceback__) if not _is_passed_through(entry[0])]
    if not lines:
        return words
    frame, line = lines[-1]
    return f"{words} ({Path(frame.f_code.co_filename).name}, line {line})"


def names_failure(what: str) -> AbstractContextManager[None]:
    """Call the code of a search space or of a network inside of this block.

    Args:
        what: what failed then, in words that begin the message.

    Raises:
        NetworkFailedError: in the place of what the code raises; an error of this package passes as it is.

    Example:
        >>> try:
        ...     with names_failure("mlp: build failed"):
        ...         raise KeyError
        ... except NetworkFailedError as error:
        ...     print(str(error).partition(" (")[0])
        mlp: build failed: KeyError
    """
    return _NamesFailure(what)


@dataclass(frozen=True)
class _NamesFailure:
    """No generator: `contextmanager` would let a StopIteration through, taking the new error for Python's own."""

    what: str

    def __enter__(self) -> None:
        """Begin to look at errors."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Name what failed; an error of this package, or an interrupt, passes as it is."""
        if isinstance(error, Exception) and not isinstance(error, LswagError):
            raise NetworkFailedError(f"{self.what}: {told(error)}") from error


class ExecutorError(LswagError, RuntimeError):
    """The processes that run jobs cannot be started, reached or sent their job: nothing can be run."""


class WorkerLostError(LswagError, RuntimeError):
    """A worker process ended in the middle of a call, and ended again each time the call was run anew."""


class JobTimeoutError(LswagError, TimeoutError):
    """A job in a worker process took longer than it may; its process was ended and replaced."""


class JobAbortedError(LswagError, RuntimeError):
    """A job raised what is meant to end a program, such as SystemExit or KeyboardInterrupt."""


class LswagWarning(UserWarning):
    """The one category of all warnings of lswag_fast.

    Attributes:
        place: file and line of the code that found a reason to warn; None where `warn` did not issue it. The file and
            line that Python shows are the caller's.
    """

    place: tuple[str, int] | None = None


_PASSED_THROUGH = frozenset((__name__.partition(".")[0], "contextlib", "functools", "torch"))
"""The packages whose frames may lie between a caller and a warning: this one, and what calls its functions."""


def warn(message: str, place: tuple[str, int] | None = None) -> None:
    """Issue an `LswagWarning` that names the line of the caller's that led to it, however many calls lie between.

    Args:
        message: what is wrong and what to do.
        place: where the reason was found, default the line that calls this.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn("the batch is small")
        >>> caught[0].message
        LswagWarning('the batch is small')
    """
    here = sys._getframe(1)
    warning = LswagWarning(message)
    warning.place = place or (here.f_code.co_filename, here.f_lineno)
    frame = _callers_frame(here)
    registry = frame.f_globals.setdefault("__warningregistry__", {})  # what Python has shown of that module
    module = frame.f_globals.get("__name__", "<unknown>")
    warnings.warn_explicit(warning, LswagWarning, frame.f_code.co_filename, frame.f_lineno, module, registry)


def _callers_frame(frame: FrameType) -> FrameType:
    """The innermost frame outside of this package; the outermost where all lie inside."""
    while _is_passed_through(frame) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _is_passed_through(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _PASSED_THROUGH
