"""The command line as a whole: mistakes are one line and exit code 2, help is quick and complete."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lswag_fast import __version__
from lswag_fast.cli import main, make_parser
from lswag_fast.cli.commands import COMMANDS

ARCH = {"embed_dim": 192, "depth": 12, "num_heads": [3] * 12, "mlp_ratio": [4.0] * 12}
SMALL = ["--image-size", "32", "--batch-size", "4"]

MISTAKES = [
    ([], "COMMAND"),
    (["serach"], "invalid choice: 'serach'"),
    (["search"], "SPACE"),
    (
        ["search", "autoformer-huge"],
        "there is no space 'autoformer-huge'; did you mean 'autoformer-base'? known are autoformer-tiny",
    ),
    (["search", "autoformer-tiny", "--colour", "red"], "unrecognized arguments: --colour red"),
    (
        ["search", "autoformer-tiny", "--trial", "5"],
        "unrecognized arguments: --trial 5; did you mean --trials? (see lswag-fast search --help)",
    ),
    (["search", "autoformer-tiny", "--trials", "0"], "--trials: '0' is not a whole number of at least 1"),
    (["search", "autoformer-tiny", "--batch-size", "two"], "--batch-size"),
    (["search", "autoformer-tiny", "--params", "6M"], "--params: cannot read the budget '6M'"),
    (["search", "autoformer-tiny", "--params", "1M..2M", *SMALL], "nearest feasible: "),
    (["search", "autoformer-tiny", "--macs", "..1K", *SMALL], "the nearest has macs "),
    (["search", "autoformer-tiny", "--data", "no/such/folder"], "--data: data no/such/folder: no such file or folder"),
    (["search", "autoformer-tiny", "--sampler", "tpe", *SMALL], "--sampler: unknown sampler 'tpe'"),
    (["search", "autoformer-tiny", "--proxies", "magic", *SMALL], "magic"),
    (["search", "autoformer-tiny", "--checkpoint", "no.pth", *SMALL], "no.pth"),
    (["search", "autoformer-tiny", "--batch-size", "1", "--image-size", "32"], "variance"),
    (["search", "json:dumps"], "without arguments"),
    (["search", "collections:OrderedDict"], "not a search space: it lacks 'name', 'input_shape', 'num_classes'"),
    (["score", "mymodel"], "package.module:factory or SPACE:ARCHJSON"),
    (["score", "no_such_module:make"], "there is no module 'no_such_module'"),
    (["score", "json:no_such_name"], "json:no_such_name: there is no 'no_such_name' in json"),
    (["score", "json:__name__"], "must be callable; found str"),
    (["score", "lswag_fast.spaces:NasBench201"], "returned a search space; name one of its architectures too"),
    (["score", "collections:OrderedDict"], "returned OrderedDict; it must return a torch.nn.Module"),
    (["score", ".models:make"], "names no module"),
    (["score", "nasbench201:foo"], "nasbench201: architecture: not readable as JSON"),
    (["score", "autoformer-small:ARCH_JSON"], "autoformer-small: architecture: not readable as JSON"),
    (["score", "nasbench201:"], "nasbench201: architecture: not readable as JSON"),
    (["score", "nasbench201:|none~0|"], "nasbench201: "),
    (["score", "autoformer-tiny:{broken"], "not readable as JSON"),
    (["score", 'autoformer-tiny:{"depth":12}'], "found the fields depth"),
    (["score", f"autoformer-tiny:{json.dumps({**ARCH, 'embed_dim': 200})}"], "embed_dim: found 200"),
    (["score", f"autoformer-huge:{json.dumps(ARCH)}"], "autoformer-huge"),
    (["score", "collections:OrderedDict", "--patch-size", "4"], "networks of a space"),
]


@pytest.mark.parametrize(("argv", "words"), MISTAKES, ids=[" ".join(argv)[:60] for argv, _ in MISTAKES])
def test_a_mistake_is_one_line_and_exit_code_2(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("lswag-fast: warning: ")]
    assert len(lines) == 1
    assert lines[0].startswith("lswag-fast: error: ")
    assert words in lines[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["lswag_fast", "lswag_fast.cli"])
def test_exit_codes_of_the_process(module, tmp_path):
    command = [sys.executable, "-m", module]
    wrong = subprocess.run([*command, "search", "nowhere"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("lswag-fast: error: ")
    assert wrong.stderr.count("\n") == 1
    right = subprocess.run([*command, "--version"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (right.returncode, right.stdout, right.stderr) == (0, f"lswag-fast {__version__}\n", "")


@pytest.mark.parametrize("command", [[], *([command.name] for command in COMMANDS)], ids=str)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: lswag-fast")
    assert "%%" not in text  # only the help of an option is %-formatted
    assert "examples:" in text


def test_the_help_lists_every_command_and_no_option_without_a_text(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^    {command.name}\s+\S", text, re.MULTILINE), command.name
        assert all(action.help for action in command.parser()._actions), command.name


def test_the_parser_is_made_without_anything_slow():
    program = "import sys, lswag_fast.cli as cli; cli.make_parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pandas", "scipy", "matplotlib"} & set(done.stdout.split())


def test_every_example_of_the_help_can_be_parsed():
    for command in COMMANDS:
        examples = re.findall(r"^  (lswag-fast [^|]*?)(?: \|.*)?$", command.epilog.replace("\\\n", " "), re.MULTILINE)
        for example in examples:
            if example.count("'") % 2 == 0:  # one architecture is shown on two lines
                make_parser().parse_args(shlex.split(example)[1:])


def test_equal_things_have_equal_names():
    """One word for one thing: an option means the same wherever it is."""
    spellings = {}
    for command in COMMANDS:
        for action in command.parser()._actions:
            for option in action.option_strings:
                spellings.setdefault(option, set()).add(action.metavar or str(action.choices))
    # A file or a folder; one column or several; how weights are drawn, or where they come from.
    allowed = {"--out", "-o", "--target", "--init"}
    assert {option for option, kinds in spellings.items() if len(kinds) > 1} <= allowed
    assert not {"--proxy", "--n", "--eval", "--wave"} & set(spellings)


def test_unexpected_errors_keep_their_traceback(tmp_path, monkeypatch):
    Path(tmp_path, "broken_model.py").write_text("def make():\n    return 1 / 0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError):
        main(["score", "broken_model:make"])


def test_a_missing_import_of_the_users_module_is_not_hidden(tmp_path, monkeypatch):
    Path(tmp_path, "missing_import.py").write_text("import not_installed_anywhere\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        main(["score", "missing_import:make"])


def test_ctrl_c_is_one_line_and_130(capsys, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("lswag_fast.spaces.get", interrupt)
    assert main(["search", "autoformer-tiny"]) == 130
    assert capsys.readouterr().err == "lswag-fast: error: interrupted\n"
