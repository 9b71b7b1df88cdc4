"""The pages of a training and of a comparison: curves by epoch, and methods side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lswag_fast.errors import StorageError, reason
from lswag_fast.report import charts, markup, words
from lswag_fast.report.markup import Raw, tag
from lswag_fast.report.page import Part, Tile, foot, page, tiles
from lswag_fast.study.costs import write_count
from lswag_fast.training.loop.folder import LOG_FILE, SETTINGS_FILE, TrainingFolder
from lswag_fast.training.network import RESULT_FILE
from lswag_fast.training.supernet import KIND as SUPERNET

Rows = Sequence[Mapping[str, float]]

_ACCURACIES = {"accuracy": "images to train on, as they were changed", "validation_accuracy": "validation images"}


def is_training(folder: Path) -> bool:
    """Whether a folder is that of a training, and not of a search."""
    try:
        return "kind" in json.loads((folder / SETTINGS_FILE).read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def training_report(folder: Path) -> str:
    """Return the page of a supernet or of a network, which may be training: loss, accuracy, learning rate by epoch.

    Args:
        folder: of `train_supernet` or `train_network`, which is only read.

    Raises:
        StorageError: it is no folder of a training, or damaged.
        MissingExtraError: plotly is not installed.
    """
    opened = TrainingFolder(folder, writes=False)
    settings = opened.settings()
    subject = "space.name" if settings.get("kind") == SUPERNET else "network.python"
    opened.check_has(settings, "kind", subject, "recipe.epochs", "recipe.name", "data.source", "data.images.train")
    rows = opened.epochs() if (folder / LOG_FILE).exists() else []
    title = f"{_subject(settings)}: {folder.name}"
    head = _training_head(settings, rows, opened.is_finished, _result(folder))
    return page(title, head, _training_sections(settings, rows), foot(folder))


def _subject(settings: Mapping[str, Any]) -> str:
    """What is trained, in a word."""
    if settings["kind"] == SUPERNET:
        return str(settings["space"]["name"])
    about = settings["network"]
    return str(about.get("space") or about["python"])


def _training_head(settings: Mapping[str, Any], rows: Rows, is_finished: bool, result: Mapping[str, Any] | None) -> Raw:
    recipe, data = settings["recipe"], settings["data"]
    lead = (
        f"{words.plural(len(rows), 'epoch')} of {recipe['epochs']} by the recipe {recipe['name']} on "
        f"{data['images']['train']:,} images of {data['source']}."
    )
    parts = [
        tag("p", "Supernet" if settings["kind"] == SUPERNET else "Trained network", class_="eyebrow"),
        tag("h1", _subject(settings)),
        tag("p", lead, class_="lead"),
    ]
    if not is_finished:
        text = "This training had not ended when the report was made; its command continues it."
        parts.append(tag("p", text, class_="banner"))
    return tag("header", *parts, tiles(_training_tiles(rows, result)))


def _training_tiles(rows: Rows, result: Mapping[str, Any] | None) -> Iterator[Tile]:
    if result is not None:
        part = "validation" if result["test"] is None else "test"
        found = result[part]
        low, high = found["interval"]
        yield f"{part} accuracy", f"{found['accuracy']:.2%}", f"of {found['n']:,} images; 95 %: {low:.2%} to {high:.2%}"
    if rows:
        last = rows[-1]
        yield "loss", f"{last['loss']:.4f}", f"of epoch {last['epoch']:.0f}"
        for column in (name for name in _ACCURACIES if name in last):
            yield column.replace("_", " "), f"{last[column]:.2%}", _ACCURACIES[column]
        yield "speed", f"{last['images_per_s']:,.0f}", "images per second"


def _training_sections(settings: Mapping[str, Any], rows: Rows) -> Iterator[Part]:
    if rows:
        yield _course(settings, rows)
    listed = {name: value for name, value in settings.items() if name != "schema_version"}
    text = "What decides the weights, and what was recorded with it."
    yield markup.section("Configuration", markup.note(text), markup.definitions(words.flat(listed))), {}


def _course(settings: Mapping[str, Any], rows: Rows) -> Part:
    measured = {column: name for column, name in _ACCURACIES.items() if column in rows[-1]}
    who = "networks that the steps drew" if settings["kind"] == SUPERNET else "network"
    made = {
        "loss": charts.curves(rows, {"loss": "loss"}, "loss"),
        "accuracy": charts.curves(rows, measured, "accuracy"),
        "lr": charts.curves(rows, {"lr": "learning rate"}, "learning rate"),
    }
    captions = {
        "loss": f"The mean loss of the {who}, before each step.",
        "accuracy": f"The share of the images that the {who} told right.",
        "lr": "The learning rate of the last step of each epoch.",
    }
    titles = {"loss": "Loss", "accuracy": "Accuracy", "lr": "Learning rate"}
    figures = [markup.chart(name, captions[name], titles[name]) for name in made]
    return markup.section("Course of the training", tag("div", *figures, class_="pair three")), made


def _result(folder: Path) -> dict[str, Any] | None:
    """What a network that was trained to the end reached."""
    path = folder / RESULT_FILE
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read ({reason(error)})") from error
    return found


def comparison_report(folder: Path) -> str:
    """Return the page of a comparison, which may be going on: methods side by side, with intervals.

    Args:
        folder: of `training.compare.compare`, which is only read.

    Raises:
        TableError: its rows cannot be read.
        MissingExtraError: plotly is not installed.
    """
    from lswag_fast.data.tables import read_table
    from lswag_fast.training.compare import ROWS_FILE, accuracies, summary
    from lswag_fast.training.methods import named_methods

    rows = read_table(folder / ROWS_FILE, "run")
    methods = named_methods(dict.fromkeys(rows["method"]))
    lead = (
        f"{words.plural(len(methods), 'method')} searched one space under one budget; what each run found was trained "
        "alike from fresh weights, and measured on test images that nothing else has seen."
    )
    parts = [tag("p", "Comparison", class_="eyebrow"), tag("h1", folder.name), tag("p", lead, class_="lead")]
    made = {"methods": charts.methods(accuracies(rows, methods))} if len(rows) else {}
    caption = "Intervals that overlap widely tell no winner; one seed says little."
    head = ("method", "parameters", "search", "test accuracy", "lowest", "highest", "seeds")
    shown = [
        [
            label,
            write_count(round(found.n_params)),
            words.duration(1e3 * found.search_s),
            f"{found.accuracy:.2%}",
            f"{found.lowest:.2%}",
            f"{found.highest:.2%}",
            str(found.n_seeds),
        ]
        for label, found in summary(rows, methods).items()
    ]
    text = "Means over the seeds; lowest and highest are the outer ends of the seeds' intervals of 95 %."
    section = markup.section(
        "Methods side by side",
        *(markup.chart(name, caption) for name in made),
        markup.note(text),
        markup.table(head, shown, ("method",)),
    )
    return page(f"Comparison: {folder.name}", tag("header", *parts), [(section, made), (_runs(rows), {})], foot(folder))


def _runs(rows: Any) -> Raw:
    """Every run, with what it found."""
    head = ("run", "parameters", "test accuracy", "right", markup.FOLDED_COLUMN)
    shown: list[list[markup.Content]] = [
        [
            str(run),
            f"{int(row['n_params']):,}",
            f"{row['test_accuracy']:.2%}",
            f"{int(row['correct'])} of {int(row['n_images'])}",
            markup.folded("show", tag("code", str(row["arch"]), class_="copy")),
        ]
        for run, row in rows.iterrows()
    ]
    return markup.section("Runs", markup.table(head, shown, ("run",)))
