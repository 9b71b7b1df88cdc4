"""A score of this package as the objective of a study of Optuna."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lswag_fast.errors import InputError
from lswag_fast.integrations.optuna_library import naming_choices, optuna
from lswag_fast.option_checks import check_names
from lswag_fast.options import ScoreOptions
from lswag_fast.proxies import get_proxy
from lswag_fast.score_job import Mode, ScoreJob
from lswag_fast.spaces import SearchSpace
from lswag_fast.study.budget import INSIDE, Budget
from lswag_fast.study.candidate_pool import Candidate


@dataclass(frozen=True)
class OptunaObjective:
    """The score of a space's architectures, for `optuna.Study.optimize`.

    Each call lets the trial choose an architecture (`space.suggest(trial)`), builds it with the weights that a search
    with the same seed gives it, and scores it. The trial gets the attributes `arch` (its text), `n_params` and `macs`.
    An architecture outside the budget is pruned before it is built. What keeps a network from having a score is raised
    as a `LswagError`: `study.optimize(objective, n_trials=100, catch=(LswagError,))` records it and goes on.

    Attributes:
        space: the search space, one with `lswag_fast.spaces.Suggests`: of those that come with this package AutoFormer,
            NAS-Bench-201 and the cells of TransNAS-Bench-101.
        batch: `(inputs, targets)` as `score` takes it.
        proxies: names of proxies; of several, Optuna optimises each by itself and finds the front.
        budget: what an architecture may cost.
        mode: "train" or "eval", the mode of the networks; None leaves them as the space builds them.
        seed: of the weights and the score.
        n_threads: of torch, for each architecture.
        options: of the score; its seed is `seed`, whatever it says.

    Raises:
        InputError: an unknown proxy, or one that is made of ranks; an argument of another kind.
        SpaceError: the space does not name its choices.
        MissingExtraError: Optuna is not installed.

    Example:
        >>> import optuna
        >>> from lswag_fast import data, spaces
        >>> space = spaces.NasBench201(channels=4, cells_per_stage=1, image_size=8)
        >>> batch = data.load("digits", batch_size=8, image_size=8).batch
        >>> objective = OptunaObjective(space, batch, ("nwot", "params"))
        >>> objective.directions
        ['maximize', 'maximize']
        >>> study = optuna.create_study(directions=objective.directions)
        >>> study.optimize(objective, n_trials=2)
        >>> trial = study.trials[0]
        >>> trial.values[1] == trial.user_attrs["n_params"]
        True
    """

    space: SearchSpace
    batch: Any
    proxies: tuple[str, ...] = ("lswag",)
    budget: Budget = field(default_factory=Budget)
    mode: Mode | None = None
    seed: int = 0
    n_threads: int = 1
    options: ScoreOptions = field(default_factory=ScoreOptions)

    def __post_init__(self) -> None:
        """Refuse what could score nothing, before a study is begun."""
        optuna()
        naming_choices(self.space)
        check_names("proxies", self.proxies)
        if not isinstance(self.budget, Budget):
            raise InputError(f"budget must be a Budget, such as Budget(params='5M..7M'), got {self.budget!r}")
        self._job.check_batch()

    @property
    def directions(self) -> list[str]:
        """Which way each proxy is better, for `optuna.create_study(directions=...)`."""
        return ["maximize" if get_proxy(name).higher_is_better else "minimize" for name in self.proxies]

    def __call__(self, trial: Any) -> tuple[float, ...]:
        """Return the values of the proxies, in their order, of the architecture that an Optuna trial chooses."""
        arch = naming_choices(self.space).suggest(trial)
        candidate = Candidate(arch, self.space, lambda _, found: self._job.latency_ms(found))
        trial.set_user_attr("arch", candidate.arch_json)
        trial.set_user_attr("n_params", candidate.n_params)
        trial.set_user_attr("macs", candidate.macs)
        if self.budget.distance(candidate) != INSIDE:
            raise optuna().TrialPruned(f"outside the budget, {self.budget}")
        values = self._job(candidate.arch_json)
        return tuple(values[name] for name in self.proxies)

    @cached_property
    def _job(self) -> ScoreJob:
        return ScoreJob(
            self.space,
            self.batch,
            tuple(self.proxies),
            mode=self.mode,
            seed=self.seed,
            n_threads=self.n_threads,
            options=self.options,
        )
