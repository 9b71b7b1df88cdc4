"""What a search has proposed: no architecture twice, and none that is the same function as an earlier one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from lswag_fast.spaces import SearchSpace, TellsIsomorphic

_DIGEST_BYTES = 8  # of a function; among a million, two of one digest have a probability of 3e-8


class Known:
    """The architectures that were taken to be proposed, by their texts and by what they compute.

    Those taken since the last batch of proposals are pending: `keep` makes them lasting, `undo` forgets them.

    Args:
        space: where they come from.
        keep_isomorphic: whether architectures that are the same function count as different ones; in a space that does
            not tell, they always do.

    Example:
        >>> from lswag_fast import spaces
        >>> space = spaces.NasBench201()
        >>> known = Known(space, keep_isomorphic=False)
        >>> cells = [f"|{op}~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|" for op in ("none", "avg_pool_3x3")]
        >>> [known.claim(cell, space.decode(cell)) for cell in cells], known.n_isomorphic
        ([True, False], 1)
    """

    def __init__(self, space: SearchSpace, keep_isomorphic: bool) -> None:
        self._space = space if isinstance(space, TellsIsomorphic) and not keep_isomorphic else None
        self._texts: set[str] = set()
        self._functions: set[str] = set()
        self._n_kept_isomorphic = 0
        self.n_isomorphic = 0
        self.pending_texts: list[str] = []
        self.pending_functions: list[str] = []

    @property
    def keeps(self) -> bool:
        """Whether architectures that are the same function count as different ones."""
        return self._space is None

    def __len__(self) -> int:
        """The number of architectures."""
        return len(self._texts)

    def __contains__(self, text: object) -> bool:
        """Whether an architecture was taken, by its text."""
        return text in self._texts

    def claim(self, text: str, arch: Any) -> bool:
        """Take an architecture; return False where it, or one that is the same function, was taken before."""
        if text in self._texts:
            return False
        if self._space is not None:
            function = hashlib.blake2b(self._space.canonical(arch).encode(), digest_size=_DIGEST_BYTES).hexdigest()
            if function in self._functions:
                self.n_isomorphic += 1
                return False
            self._functions.add(function)
            self.pending_functions.append(function)
        self._texts.add(text)
        self.pending_texts.append(text)
        return True

    def keep(self) -> None:
        """Make what is pending lasting: it was stored."""
        self.pending_texts, self.pending_functions = [], []
        self._n_kept_isomorphic = self.n_isomorphic

    def undo(self) -> None:
        """Forget what is pending."""
        self._texts.difference_update(self.pending_texts)
        self._functions.difference_update(self.pending_functions)
        self.n_isomorphic = self._n_kept_isomorphic
        self.keep()

    def restore(self, texts: Iterable[str], functions: Iterable[str], n_isomorphic: int) -> None:
        """Take what an earlier run of the search knew, in place of nothing."""
        self._texts.update(texts)
        self._functions.update(functions)
        self.n_isomorphic = self._n_kept_isomorphic = n_isomorphic
