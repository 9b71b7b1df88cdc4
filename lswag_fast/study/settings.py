"""What decides the outcome of a study: stored with it, and compared when it is continued."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, cast

import torch

from lswag_fast.errors import InputError, OtherSettingsError, warn
from lswag_fast.files.differences import differences
from lswag_fast.options import is_nameless
from lswag_fast.spaces import SearchSpace
from lswag_fast.study.budget import Budget
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import Sampler
from lswag_fast.study.trial import table_columns

_PACKAGES = ("lswag-fast", "torch", "numpy")


@dataclass(frozen=True)
class SpaceSettings:
    """Which space is searched.

    Attributes:
        name: its name.
        choices: its `repr`, since two spaces of one name may differ in their choices; None where that says nothing.
        size: number of architectures.
        input_shape: (C, H, W) of one image.
        num_classes: number of logits.
    """

    name: str
    choices: str | None
    size: int
    input_shape: tuple[int, ...]
    num_classes: int

    @classmethod
    def of(cls, space: SearchSpace) -> SpaceSettings:
        """Describe a space."""
        shown = repr(space)
        choices = None if " at 0x" in shown else shown  # the address of an object says nothing
        return cls(space.name, choices, int(space.size), tuple(space.input_shape), int(space.num_classes))


@dataclass(frozen=True)
class SamplerSettings:
    """Which sampler proposes: its name, and its options, the fields of its dataclass."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, sampler: Sampler) -> SamplerSettings:
        """Describe a sampler."""
        return cls(sampler.name, asdict(cast(Any, sampler)) if is_dataclass(sampler) else {})


@dataclass(frozen=True)
class ScoringSettings:
    """What decides the score of an architecture; a study stores and compares it, and reads nothing else out of it.

    `search` fills it in. For a loop of your own, `options` takes whatever decides your scores.

    Attributes:
        function: name of the function that scores; None for proxies.
        options: further options of the score, JSON values by name.
        n_threads: of torch, for each architecture.
        isa: instruction set of the kernels; of those that give the same bits, the oldest.
        batch_fingerprint: of the batch, see `fingerprint`.
        weights_fingerprint: of the weights that all networks are cut out of; None where they are drawn.
        mode: "train" or "eval", that of the networks; None for as they are built.
        initialisation: how the weights are drawn anew; "own" for as they are built.

    Example:
        >>> from lswag_fast import Study, spaces
        >>> scoring = ScoringSettings(options={"epochs": 3})
        >>> Study(spaces.NasBench201(), scoring=scoring).settings.scoring.options
        {'epochs': 3}
    """

    function: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    n_threads: int | None = None
    isa: str | None = None
    batch_fingerprint: str | None = None
    weights_fingerprint: str | None = None
    mode: str | None = None
    initialisation: str = "own"


@dataclass(frozen=True)
class StudySettings:
    """All that decides a study: the same settings again give the same proposals, and with them the same scores.

    Attributes:
        space: which space.
        sampler: which sampler, with its options.
        budget: what an architecture may cost.
        seed: of all proposals.
        objective: what is told and maximised.
        scoring: what decides the scores.
        n_finalists: how many of the best are scored exactly before one is named the best; 0 for none.
        keep_isomorphic: whether architectures that are the same function are all scored; True in a space that does not
            tell.

    Example:
        >>> from lswag_fast import Study, spaces
        >>> settings = Study(spaces.NasBench201(), "random", seed=4).settings
        >>> settings.seed, settings.sampler.name
        (4, 'random')
        >>> StudySettings.from_json(settings.to_json()) == settings
        True
    """

    space: SpaceSettings
    sampler: SamplerSettings
    budget: Budget
    seed: int
    objective: Objective
    scoring: ScoringSettings = field(default_factory=ScoringSettings)
    n_finalists: int = 0
    keep_isomorphic: bool = True

    @property
    def scored_by(self) -> str:
        """What scores, in words: the function, or the proxies."""
        return self.scoring.function or ", ".join(self.objective.proxies)

    def check(self) -> None:
        """Refuse what JSON cannot say, before anything is stored.

        Raises:
            InputError: an option of the sampler or of the score is no JSON value.
        """
        try:
            json.dumps(self.to_json(), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"the settings of a study are JSON values: {error}") from error

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `trials.csv`."""
        return table_columns(
            self.objective.proxies,
            with_latency=self.budget.latency_ms is not None,
            with_finalists=self.n_finalists > 0,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON values.

        The number of finalists is there only where there are some, and `keep_isomorphic` where it is False, so that
        other studies are what they were.
        """
        isomorphic = {} if self.keep_isomorphic else {"keep_isomorphic": False}
        finalists = {"n_finalists": self.n_finalists} if self.n_finalists else {}
        settings = {
            "space": asdict(self.space),
            "sampler": asdict(self.sampler),
            "budget": self.budget.to_dict(),
            "seed": self.seed,
            "objective": self.objective.to_dict(),
            "scoring": asdict(self.scoring),
            **finalists,
            **isomorphic,
        }
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> StudySettings:
        """Return the settings that `to_json` wrote.

        Raises:
            TypeError, ValueError, KeyError: they are not what it wrote.
        """
        space = SpaceSettings(**{**stored["space"], "input_shape": tuple(stored["space"]["input_shape"])})
        scoring = ScoringSettings(**stored["scoring"])
        sampler = SamplerSettings(**stored["sampler"])
        texts = (space.name, sampler.name, *stored["objective"]["proxies"])
        if not all(isinstance(text, str) for text in texts) or not isinstance(stored["seed"], int):
            raise TypeError("the settings are not those of a study")
        if not (isinstance(scoring.options, dict) and isinstance(sampler.options, dict)):
            raise TypeError("the options in the settings are not options")
        if {type(number) for number in (space.size, space.num_classes, *space.input_shape)} != {int}:
            raise TypeError("the space in the settings is none")
        own = (space.choices, scoring.function, scoring.isa, scoring.batch_fingerprint, scoring.weights_fingerprint)
        if {type(text) for text in (*own, scoring.mode, scoring.initialisation)} - {str, type(None)}:
            raise TypeError("the texts in the settings are none")
        if type(scoring.n_threads) not in (int, type(None)):
            raise TypeError("the number of threads in the settings is none")
        n_finalists = stored.get("n_finalists", 0)
        if type(n_finalists) is not int or n_finalists < 0:
            raise TypeError("the number of finalists in the settings is none")
        keep_isomorphic = stored.get("keep_isomorphic", True)
        if type(keep_isomorphic) is not bool:
            raise TypeError("whether isomorphic architectures are kept is neither true nor false")
        budget, objective = Budget.from_dict(stored["budget"]), Objective.from_dict(stored["objective"])
        return cls(space, sampler, budget, stored["seed"], objective, scoring, n_finalists, keep_isomorphic)


def refuse_difference(where: Any, stored: StudySettings, given: StudySettings) -> None:
    """Refuse to continue a study with other settings.

    Raises:
        OtherSettingsError: shows each setting that differs, stored and given.
    """
    before, now = stored.to_json(), given.to_json()
    if stored.objective.proxies != given.objective.proxies:
        _leave_consequences_out(before["objective"], now["objective"])
    found = list(differences(before, now))
    if found:
        raise OtherSettingsError(
            f"{where} holds a study with other settings: {'; '.join(found)}. "
            "Repeat the stored ones to continue it, or name a new folder"
        )


def _leave_consequences_out(*objectives: dict[str, Any]) -> None:
    """Leave out what other proxies bring with them and nobody has typed: whether there is anything to combine, say."""
    names = ["lower_is_better", "rank_weights"]
    if any(objective["combine"] is None for objective in objectives):
        names.append("combine")
    for objective in objectives:
        for name in names:
            objective.pop(name, None)


def warn_of_nameless(where: Any, settings: StudySettings) -> None:
    """Say where a study is continued with a function of which nobody can tell whether it is the same as before."""
    scoring = settings.scoring
    for name in filter(is_nameless, (scoring.function, *scoring.options.values())):
        warn(
            f"{where} is continued with {name}: such a function has no name of its own, so that nobody can tell "
            "whether it is the same as before; give it a name (def) in a module"
        )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a score; `unknown` where none is installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def fingerprint(data: Any) -> str:
    """Return 16 hexadecimal digits that depend on every bit of the tensors in nested tuples, lists and dictionaries.

    What is neither counts by its text.
    """
    digest = hashlib.sha256()
    _update(digest, data)
    return digest.hexdigest()[:16]


def _update(digest: Any, data: Any) -> None:
    if isinstance(data, torch.Tensor):
        digest.update(f"{data.dtype}{tuple(data.shape)}".encode())
        digest.update(data.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(data, Mapping):
        for key in data:
            digest.update(f"{key}:".encode())
            _update(digest, data[key])
    elif isinstance(data, (tuple, list)):
        digest.update(f"[{len(data)}]".encode())
        for item in data:
            _update(digest, item)
    else:
        digest.update(repr(data).encode())
