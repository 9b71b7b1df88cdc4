"""What a command is, and the parser that all of them share."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from lswag_fast.errors import InputError


@dataclass(frozen=True)
class Command:
    """One command of `lswag-fast`.

    Attributes:
        name: what is typed.
        summary: one line for the list of commands.
        description: what it does, above its options.
        epilog: examples and more, below its options.
        add_options: adds its options to its parser; it loads nothing that is slow.
        run: does it, with what was parsed (`args.parser` is the parser), and returns the exit code.
        late_help: more text below the options, made only when the help is asked for: it may load what is slow.
    """

    name: str
    summary: str
    description: str
    epilog: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    late_help: Callable[[], str] | None = None

    def add_to(self, commands: Any) -> None:
        """Add a parser of its own to the subparsers of the program."""
        parser: Parser = commands.add_parser(self.name, help=self.summary, **self._texts())
        self._fill(parser)

    def parser(self) -> Parser:
        """Its parser alone: what its options are, and what they are when they are not given."""
        parser = Parser(prog=f"lswag-fast {self.name}", **self._texts())
        self._fill(parser)
        return parser

    def _fill(self, parser: Parser) -> None:
        parser.late_help, parser.is_command = self.late_help, True
        self.add_options(parser)
        parser.set_defaults(run=self.run, parser=parser)

    def _texts(self) -> dict[str, Any]:
        return {
            "description": self.description,
            "epilog": self.epilog,
            "formatter_class": argparse.RawDescriptionHelpFormatter,
            "allow_abbrev": False,
        }


# A keyword as messages of the library have it, with a value or without; not that of a call or of a path, nor a number
# of a recipe, which an option of the same name need not be. What is quoted, or listed as a name that there is, stays as
# it stands; an apostrophe begins no quotation.
_KEYWORD = re.compile(
    r"""(?<![\w=])"(?:[^"\\]|\\.)*"|(?<![\w=])'[^']*'(?!\w)|"""
    r"""\b(?:there[ ]are|it[ ]takes)[ ][^\s,;]+(?:,[ ][^\s,;]+)+|"""
    r"""\w\((?:[^()]|\([^()]*\))*\)|--recipe-set:[ ]\w+|"""
    r"""(?<![\w./(,'"-])([a-z]\w*)(?:=(?:'([^']*)'|"([^"]*)"|([\w.+-]*))|(?![\w(=.'"]))"""
)
# Counts that the library names as such.
_COUNTS = {"n_images": "images", "n_threads": "threads"}
_SAID_TWICE = re.compile(r"(--[\w-]+): \1\b")
_PROXY_OPTION = re.compile(r"proxy_options=\{'(\w+)': \{'(\w+)': '?([\w.+-]+)'?\}\}")

_RECIPE_NUMBER = re.compile(r"\(recipe\.(\w+)\)")


class Parser(argparse.ArgumentParser):
    """Raises a mistake as an `InputError`, so that all mistakes are shown the same way."""

    late_help: Callable[[], str] | None = None
    is_command = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse; a command refuses itself what it does not know, so that its own help is named."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown and self.is_command:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._guess(unknown)}")
        return found, unknown

    def _guess(self, unknown: Sequence[str]) -> str:
        known = [option for action in self._actions for option in action.option_strings]
        for word in unknown:
            near = difflib.get_close_matches(word.partition("=")[0], known, n=1) if word.startswith("-") else []
            if near:
                return f"; did you mean {near[0]}?"
        return ""

    def in_options(self, message: object) -> str:
        """Return a message of the library with the options of this command in the place of Python's keywords.

        `rule="published"` becomes `--rule published`, and `(recipe.lr)` the option of that number, or
        `(--recipe-set lr=...)` of a command without one. A name alone, `batch_size`, is only taken for a keyword where
        it is no word of English and nothing that architectures have. What is no option here stays as it is, and so does
        what is quoted, and a list of the names that there are.
        """
        quantities = {"latency_ms"}
        names = (name for action in self._actions for name in action.option_strings if name.startswith("--"))
        options = {name[2:].replace("-", "_"): name for name in names}
        options |= {count: options[name] for count, name in _COUNTS.items() if name in options}

        def option(match: re.Match[str]) -> str:
            name = match[1]  # of a call, none
            if name not in options or ("=" not in match[0] and ("_" not in name or name in quantities)):
                return match[0]
            return f"{options[name]} {match[2] or match[3] or match[4] or ''}".rstrip()

        def number(match: re.Match[str]) -> str:
            return f"({options.get(match[1]) or f'--recipe-set {match[1]}=...'})"

        text = _PROXY_OPTION.sub(r"--set \1.\2=\3", str(message)) if "set" in options else str(message)
        text = _RECIPE_NUMBER.sub(number, text) if "recipe_set" in options else text
        return _SAID_TWICE.sub(r"\1", _KEYWORD.sub(option, text))

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise InputError(f"{message} (see {self.prog} --help)")

    def format_help(self) -> str:
        """Return the help, with the text that is made late before the examples."""
        if self.late_help is not None:
            self.epilog = f"{self.late_help()}\n\n{self.epilog}"
            self.late_help = None
        return super().format_help()
