"""NAS-Bench-301 (Zela et al., ICLR 2022): a surrogate that predicts the accuracy of a genotype of the DARTS space."""

from __future__ import annotations

import importlib
import math
import os
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lswag_fast.errors import InputError, SpaceError
from lswag_fast.random_state import RandomState
from lswag_fast.spaces import Arch, Darts, SearchSpace
from lswag_fast.spaces.darts.genotype import NODES, Edges

FOLDER_VARIABLE = "LSWAG_NB301"
"""The environment variable that names the folder of a surrogate."""
PACKAGE = "nasbench301"
_MEMBERS = "*surrogate_model.model"
# The package reads a genotype by the names of these fields.
_Genotype = namedtuple("_Genotype", ("normal", "normal_concat", "reduce", "reduce_concat"))


@dataclass(frozen=True)
class Nb301Surrogate:
    """A surrogate of NAS-Bench-301, as `load_nb301` reads it.

    It predicts the validation accuracy on CIFAR-10 that a network of the genotype, with 8 cells of 32 channels at
    first, has after 100 epochs.

    Attributes:
        space: the space of the genotypes; its sizes play no part.
        name: of the surrogate's folder.
        model: what the package made of it.

    Example:
        >>> import random
        >>> class Constant:
        ...     def predict(self, config, representation, with_noise):
        ...         return 94.5
        >>> space = Darts()
        >>> Nb301Surrogate(space, "constant", Constant()).accuracy(space.sample(random.Random(0)))
        94.5
    """

    space: Darts
    name: str
    model: Any

    def accuracy(self, arch: Arch) -> float:
        """Return the predicted accuracy in percent, the mean over the members of the surrogate.

        Args:
            arch: a member of the space.

        Raises:
            SpaceError: it is no member, or NAS-Bench-301 has no such genotype.
            InputError: the surrogate cannot predict, or predicts what is no percentage, such as a run time.
        """
        cells = self.space.genotype(arch)
        for cell, edges in cells._asdict().items():
            _check_cell(cell, edges)
        nodes = list(NODES)
        config = _Genotype(list(cells.normal), nodes, list(cells.reduce), nodes)
        try:
            found = float(self.model.predict(config=config, representation="genotype", with_noise=False))
        except Exception as error:  # whatever a package of others raises
            raise InputError(f"{FOLDER_VARIABLE}: the surrogate {self.name} cannot predict ({_said(error)})") from error
        if not (math.isfinite(found) and 0 <= found <= 100):
            raise InputError(
                f"{FOLDER_VARIABLE}: the surrogate {self.name} predicts {found:g}, which is no accuracy in percent; "
                "name one of accuracies, not of run times"
            )
        return found


def load_nb301(space: SearchSpace) -> Nb301Surrogate:
    """Read the surrogate in the folder that the environment variable LSWAG_NB301 names.

    Reading it runs code that the folder may hold, as pickles do: name a folder from a source that you trust. The
    package seeds the global generators meanwhile; afterwards they are as before.

    Args:
        space: whose architectures are to be judged, a `Darts` of the CIFAR networks.

    Raises:
        InputError: the space is another one, the variable is not set or names no folder of a surrogate, or the package
            `nasbench301` is missing or cannot read it.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> load_nb301(NasBench201())
        Traceback (most recent call last):
        lswag_fast.errors.InputError: NAS-Bench-301 has genotypes of the space darts, none of nasbench201
    """
    if not isinstance(space, Darts) or space.stem != "cifar":
        raise InputError(f"NAS-Bench-301 has genotypes of the space darts, none of {space.name}")
    folder = _folder()
    package = _package()
    state = RandomState()
    try:
        return Nb301Surrogate(space, folder.name, package.load_ensemble(str(folder)))
    except Exception as error:  # whatever a package of others raises
        raise InputError(f"{FOLDER_VARIABLE}: {PACKAGE} cannot read {folder} ({_said(error)})") from error
    finally:
        state.restore()


def _folder() -> Path:
    """The folder of the surrogate."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        raise InputError(
            f"the environment variable {FOLDER_VARIABLE} is not set; set it to the folder of a surrogate of "
            "NAS-Bench-301, such as nb_models_1.0/xgb_v1.0"
        )
    folder = Path(named).resolve()
    if not folder.is_dir():
        raise InputError(f"{FOLDER_VARIABLE}: there is no folder {named}; set it to that of a surrogate")
    if next(folder.rglob(_MEMBERS), None) is None:
        raise InputError(f"{FOLDER_VARIABLE}: {named} holds no {_MEMBERS}; set it to the folder of a surrogate")
    return folder


def _package() -> Any:
    """The package, which no extra installs: its releases ask for versions of torch that are too old for this one."""
    try:
        return importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        if error.name == PACKAGE:
            raise InputError(f"this needs {PACKAGE}, which is not installed; pip install {PACKAGE}") from error
        raise InputError(f"{PACKAGE} needs {error.name}, which is not installed; pip install {error.name}") from error
    except Exception as error:  # it may have been written for other versions of what it needs
        raise InputError(f"{PACKAGE} is installed and cannot be imported ({_said(error)})") from error


def _check_cell(cell: str, edges: Edges) -> None:
    """Refuse what the space has and NAS-Bench-301 has not."""
    for place, node in enumerate(NODES):
        (op, source), (other_op, other) = edges[2 * place : 2 * place + 2]
        if "none" in (op, other_op):
            raise SpaceError(f"{cell}: node {node} has the operation 'none', which NAS-Bench-301 lacks")
        if source == other:
            raise SpaceError(f"{cell}: node {node} reads node {source} twice, which no genotype of NAS-Bench-301 does")


def _said(error: Exception) -> str:
    """An error of others on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
