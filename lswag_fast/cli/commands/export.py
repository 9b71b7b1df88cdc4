"""`lswag-fast export`: the trials of a search as a table or a study of Optuna, or one architecture with its weights."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lswag_fast.cli import options
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say
from lswag_fast.cli.files import encoded
from lswag_fast.errors import InputError, SpaceError
from lswag_fast.files.durable import write_whole

if TYPE_CHECKING:
    from lswag_fast.study.stored import StoredStudy
    from lswag_fast.study.trial import Trial

BEST = "best"
FORMATS = ("csv", "json", "parquet")

_DESCRIPTION = """\
Write the trials of a search as a table, or, with --arch, one architecture: its description as JSON and the weights it
was scored with as safetensors, and the Python lines that build it; with --backbone, also those that make it the
backbone of a detector. With --optuna, write the trials as a study of Optuna, for its dashboard. The search is only
read, so it may be running."""

_EPILOG = """\
examples:
  lswag-fast export runs/small --format parquet -o trials.parquet
  lswag-fast export runs/small --format json | jq .settings
  lswag-fast export runs/small --arch best -o best
      the best architecture, to be trained elsewhere
  lswag-fast export runs/small --arch 41 -o trial-41
  lswag-fast export runs/small --arch best --backbone -o best
      for Mask R-CNN and the other detectors of torchvision
  lswag-fast export runs/small --optuna optuna.log
      and then: optuna-dashboard optuna.log"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_folder(parser)
    parser.add_argument(
        "--format", choices=FORMATS, help="of the table (default: by the ending of FILE, csv without one)"
    )
    parser.add_argument("--arch", metavar="best|NUMBER", help="export this architecture: the best, or a trial's")
    text = "with --arch: as the backbone of a detector, with feature maps of strides 4 to 32"
    parser.add_argument("--backbone", action="store_true", help=text)
    text = "write a study of Optuna, named like the folder, into its storage: a journal file, or the URL of a data base"
    parser.add_argument("--optuna", metavar="STORAGE", help=text)
    text = "the file of the table (default: standard output), or the folder of the architecture"
    options.add_out(parser, text, metavar="FILE|FOLDER")


def _run(args: argparse.Namespace) -> int:
    """Write the table, the architecture or the study of Optuna."""
    from lswag_fast.study.stored import read_study

    if args.optuna is not None:
        _check_alone(args)
        _export_to_optuna(read_study(args.folder), args.optuna)
        return 0
    if args.backbone and args.arch is None:
        raise InputError("--backbone is of one architecture: --arch best, or the number of a trial")
    if args.arch is not None and args.format is not None:
        raise InputError("--format is of the table of all trials; leave it out with --arch")
    if args.arch is not None and args.out is None:
        raise InputError("--arch needs a folder for the architecture and its weights: -o FOLDER")
    kind = None if args.arch is not None else args.format or _format_of(args.out)  # refused before anything is read
    study = read_study(args.folder)
    if kind is not None:
        _export_table(study, kind, args.out)
    else:
        _export_arch(study, _trial(study, args.arch), args.out, args.backbone)
    return 0


def _check_alone(args: argparse.Namespace) -> None:
    for option in ("arch", "format", "out", "backbone"):
        if getattr(args, option) not in (None, False):
            raise InputError(f"--{option} is not for --optuna, which writes all trials into its storage; leave it out")


def _export_to_optuna(study: StoredStudy, storage: str) -> None:
    from lswag_fast.cli.stored_space import find_stored_space
    from lswag_fast.integrations import export_to_optuna

    try:
        space, _ = find_stored_space(study)
    except (InputError, SpaceError):  # made in Python, or changed: the architectures say enough
        space = None
    made = export_to_optuna(study, storage, space=space)
    say(f"{len(study.trials):,} trials: study {made.study_name!r} in {storage}")


def _format_of(path: Path | None) -> str:
    """The format that the ending of a file says; CSV without one."""
    ending = path.suffix.removeprefix(".").lower() if path is not None else ""
    if ending and ending not in FORMATS:
        raise InputError(
            f"--out: a table is written as .{', .'.join(FORMATS)}, and {path} ends in .{ending}; name another file, or "
            "say the format (--format)"
        )
    return ending or FORMATS[0]


def _export_table(study: StoredStudy, kind: str, path: Path | None) -> None:
    if kind == "parquet" and path is None:
        raise InputError("--format parquet needs a file: -o FILE")
    makers: dict[str, Callable[[StoredStudy], bytes]] = {"csv": _csv, "json": _json, "parquet": _parquet}
    content = makers[kind](study)
    if path is None:
        say(content.decode().removesuffix("\n"))
        return
    write_whole(path, content)
    say(f"{len(study.trials):,} trials: {path}")


def _csv(study: StoredStudy) -> bytes:
    return encoded(study.csv_text())


def _json(study: StoredStudy) -> bytes:
    content = {
        "status": study.status,
        "n_trials_wanted": study.n_trials_wanted,
        "elapsed_ms": study.elapsed_ms,
        "settings": study.settings.to_json(),
        "metadata": study.metadata,
        "versions": study.versions,
        "trials": [trial.to_dict() for trial in study.trials],
    }
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def _parquet(study: StoredStudy) -> bytes:
    import io

    from lswag_fast.errors import needs_extra

    file = io.BytesIO()
    with needs_extra("parquet", "pyarrow"):
        study.dataframe().to_parquet(file, index=False)
    return file.getvalue()


def _trial(study: StoredStudy, wanted: str) -> Trial:
    """The trial that --arch names."""
    if wanted == BEST:
        if study.best is None:
            raise InputError(f"--arch: no trial of {study.path} has a score yet, so there is no best one")
        return study.best
    if not wanted.isdecimal():
        raise InputError(f"--arch must be best or the number of a trial; found {wanted!r}")
    found = [trial for trial in study.trials if trial.number == int(wanted)]
    if not found:
        raise InputError(f"--arch: {study.path} has no finished trial {wanted}, only {len(study.trials):,} from 0 on")
    return found[0]


def _export_arch(study: StoredStudy, trial: Trial, folder: Path, as_backbone: bool) -> None:
    from lswag_fast.cli.stored_space import find_stored_space, stored_weights
    from lswag_fast.passes.shared.initialisation import initialise
    from lswag_fast.spaces.building import network_builder
    from lswag_fast.spaces.text_space import example_inputs
    from lswag_fast.study.export import export_architecture

    space, recipe = find_stored_space(study)
    weights = stored_weights(study, space)
    seed, initialisation = study.settings.seed, study.settings.scoring.initialisation
    drawn, inputs = network_builder(space, weights, seed), example_inputs(space, 2)
    lines = export_architecture(
        study,
        trial,
        space,
        recipe,
        folder,
        lambda arch: initialise(drawn(arch), initialisation, seed, inputs),
        weights,
        as_backbone,
    )
    say(f"trial {trial.number}: {folder}\n\nIn Python:")
    for line in lines:
        say(f"    {line}")


_SUMMARY = "the trials as a table or for Optuna, or one architecture with its weights"
COMMAND = Command("export", _SUMMARY, _DESCRIPTION, _EPILOG, _add_options, _run)
