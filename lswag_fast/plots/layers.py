"""The layers of a network: what each gives to the score, and where in depth gradients stand out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lswag_fast.errors import InputError
from lswag_fast.plots.style import ACCENT, LINE, MARKERS, SERIES, SOFT, add_legend, label_axes, new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_NAMED_LAYERS = 60  # beyond it the names on the axis would overlap
_PANELS = {"trainability": r"trainability $\Lambda_l$ (ln)", "cardinality": r"cardinality $\Psi_l$"}


@dataclass(frozen=True)
class Role:
    """Layers that do the same in different blocks.

    Attributes:
        name: their parameter, the numbers of blocks left open: `blocks.*.fc1`.
        places: in order of execution, from 1.
        layers: as they were given.
    """

    name: str
    places: tuple[int, ...]
    layers: tuple[Mapping[str, Any], ...]


def roles(profile: Sequence[Mapping[str, Any]]) -> list[Role]:
    """Group layers by what they do, the largest group first.

    Args:
        profile: a dictionary per layer, in order of execution; `name` is the name of its parameter.

    Returns:
        The roles.

    Example:
        >>> layers = [{"name": "stem.weight"}, {"name": "blocks.0.fc1.weight"}, {"name": "blocks.1.fc1.weight"}]
        >>> [(role.name, role.places) for role in roles(layers)]
        [('blocks.*.fc1', (2, 3)), ('stem', (1,))]
    """
    found: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for place, layer in enumerate(profile, start=1):
        found.setdefault(_role(str(layer["name"])), []).append((place, layer))
    made = [
        Role(name, tuple(place for place, _ in rows), tuple(layer for _, layer in rows)) for name, rows in found.items()
    ]
    return sorted(made, key=lambda role: (-len(role.places), role.places))


def _role(name: str) -> str:
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", _short(name))


def _short(name: str) -> str:
    return name.removesuffix(".weight")


def plot_profile(profile: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Draw trainability and cardinality of every layer of a network, in order of execution.

    Args:
        profile: a dictionary per layer with `name`, `trainability` and `cardinality`, as the fields of `LayerScore`;
            layers that do the same are joined, one without a finite value leaves a gap.
        title: above the figure.

    Returns:
        The figure.

    Raises:
        InputError: the profile has no layer.
        MissingExtraError: matplotlib is not installed.

    Example:
        >>> layers = [{"name": f"{block}.weight", "trainability": 9.0, "cardinality": 4} for block in range(3)]
        >>> figure = plot_profile(layers, "lswag = 108")
        >>> len(figure.axes)
        2
    """
    if not profile:
        raise InputError("there is no layer to draw")
    is_named = len(profile) <= _MAX_NAMED_LAYERS
    figure = new_figure(max(8.0, 0.22 * len(profile) if is_named else 0.0), 6.0)
    top, bottom = figure.subplots(2, 1, sharex=True)
    for axes, quantity in ((top, "trainability"), (bottom, "cardinality")):
        label_axes(axes, "layer, in order of execution" if axes is bottom else "", _PANELS[quantity])
        for place, role in enumerate(roles(profile)):
            _draw_role(axes, role, quantity, place)
    if is_named:
        names = [_short(str(layer["name"])) for layer in profile]
        bottom.set_xticks(range(1, len(profile) + 1), names, rotation=90, fontsize=7)
    set_title(top, title)
    handles, labels = top.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False, fontsize=8, labelcolor=SOFT)
    return figure


def _draw_role(axes: Axes, role: Role, quantity: str, place: int) -> None:
    values = [layer[quantity] for layer in role.layers]
    heights = [math.nan if value is None or not math.isfinite(value) else value for value in values]
    marker, colour = MARKERS[place % len(MARKERS)], SERIES[place % len(SERIES)]
    axes.plot(role.places, heights, marker=marker, color=colour, linewidth=1.2, markersize=4.5, label=role.name)


def plot_layer_study(
    means: Mapping[Any, float],
    spreads: Mapping[Any, float],
    *,
    n_bins: int,
    interval: tuple[int, int] | None = None,
    title: str = "",
) -> Figure:
    """Draw ln sigma by depth, and the bins that stand out.

    Args:
        means: {percentile bin of depth: mean of ln sigma over its layers}.
        spreads: {percentile bin of depth: standard deviation of the same}.
        n_bins: the bins are 0 to n_bins - 1.
        interval: the first and the last bin of those that stand out; None for none.
        title: above the figure.

    Returns:
        The figure.

    Raises:
        MissingExtraError: matplotlib is not installed.

    Example:
        >>> figure = plot_layer_study({0: -6.0, 10: -4.0}, {0: 0.5, 10: 0.2}, n_bins=11, interval=(10, 10))
        >>> figure.axes[0].get_xlabel()
        'percentile bin of depth (Eq. 6)'
    """
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    label_axes(axes, "percentile bin of depth (Eq. 6)", r"ln $\sigma$, mean and standard deviation")
    axes.errorbar(
        list(means), list(means.values()), [spreads[bin_] for bin_ in means], fmt="o-", color=ACCENT, capsize=3
    )
    if interval is not None:
        axes.axvspan(interval[0] - 0.5, interval[1] + 0.5, color=LINE, label="spike", zorder=0)
        add_legend(axes)
    axes.set_xticks(range(n_bins))
    set_title(axes, title)
    return figure
