"""What every storage of a study must do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lswag_fast.errors import StorageError
from lswag_fast.spaces import NasBench201
from lswag_fast.study import Study, read_study
from lswag_fast.study.samplers import EvolutionSampler
from lswag_fast.study.storage import Record, Storage

N_TRIALS = 14


class StorageContract:
    """Tests of a `Storage`; subclass it and override `make_storage`.

    Example:
        >>> from lswag_fast.study.storage import SQLiteStorage
        >>> class TestSQLiteStorage(StorageContract):
        ...     def make_storage(self, place):
        ...         return SQLiteStorage(place / "run")
    """

    def make_storage(self, place: Path) -> Storage:
        """Return a new storage of the study kept at `place`: equal places, equal studies.

        Args:
            place: an empty folder at first, of the test's own.
        """
        raise NotImplementedError

    def study(self, place: Path, **options: Any) -> Study:
        """Return a study of a few adaptive proposals, kept at `place`."""
        sampler = EvolutionSampler(population=4, parents=2, mutations=2, crossovers=1)
        return Study(NasBench201(), **{"sampler": sampler, "seed": 3, "storage": self.make_storage(place), **options})

    def test_it_has_the_members_of_a_storage(self, tmp_path: Path) -> None:
        """The protocol asks for them."""
        assert isinstance(self.make_storage(tmp_path), Storage)

    def test_making_one_creates_nothing(self, tmp_path: Path) -> None:
        """Only `open` does."""
        storage = self.make_storage(tmp_path)
        assert not storage.has_study()
        assert not storage.is_being_written()
        assert not list(tmp_path.iterdir())

    def test_a_new_one_holds_nothing_and_cannot_be_read(self, tmp_path: Path) -> None:
        """Before the first record there is no study."""
        with pytest.raises(StorageError):
            self.make_storage(tmp_path).read()
        storage = self.make_storage(tmp_path)
        assert storage.open() is None
        storage.close()

    def test_records_come_back_and_the_later_replaces_the_earlier(self, tmp_path: Path) -> None:
        """Also what JSON finds hard: unusual texts, long whole numbers, every digit of a float."""
        values = ["é\n\"'\u2028", 2**60, 0.1 + 0.2, -0.0, None, True, [1, [2.5, "x"]], {"a": {"b": []}}, ""]
        storage = self.make_storage(tmp_path)
        storage.open()
        storage.begin([Record("attr", "old", 1)])
        storage.write([Record("kind", place, value) for place, value in enumerate(values)])
        storage.write([Record("attr", "old", 2), Record("attr", "7", "a text"), Record("attr", 7, "a number")])
        storage.close()
        wanted = {"attr": {"old": 2, "7": "a text", 7: "a number"}, "kind": dict(enumerate(values))}
        assert self.make_storage(tmp_path).read() == wanted
        again = self.make_storage(tmp_path)
        assert again.open() == wanted
        again.close()

    def test_begin_replaces_everything(self, tmp_path: Path) -> None:
        """Nothing of before is left."""
        storage = self.make_storage(tmp_path)
        storage.open()
        storage.begin([Record("attr", "old", 1), Record("batch", 0, [])])
        storage.begin([Record("attr", "new", 1)])
        storage.close()
        assert self.make_storage(tmp_path).read() == {"attr": {"new": 1}}

    def test_what_json_cannot_say_is_refused_and_nothing_of_it_is_stored(self, tmp_path: Path) -> None:
        """A group of records is stored as a whole or not at all."""
        storage = self.make_storage(tmp_path)
        storage.open()
        storage.begin([Record("attr", "a", 1)])
        for wrong in (float("nan"), float("inf"), object()):
            with pytest.raises(StorageError, match="JSON"):
                storage.write([Record("attr", "b", 1), Record("attr", "c", wrong)])
        storage.write([Record("attr", "d", 1)])
        storage.close()
        assert self.make_storage(tmp_path).read() == {"attr": {"a": 1, "d": 1}}

    def test_a_reader_sees_what_was_written_while_it_is_open(self, tmp_path: Path) -> None:
        """And knows that somebody writes."""
        with self.study(tmp_path) as study:
            study.tell(study.ask(), 1.0)
            reader = self.make_storage(tmp_path)
            assert reader.has_study()
            assert reader.is_being_written()
            assert [trial.score for trial in read_study(reader).trials] == [1.0]
            study.tell(study.ask(), 2.0)
            assert [trial.score for trial in read_study(reader).trials] == [1.0, 2.0]

    def test_a_second_writer_is_refused_and_the_first_undisturbed(self, tmp_path: Path) -> None:
        """One writer at a time; after `close` the next one may."""
        with self.study(tmp_path) as study:
            with pytest.raises(StorageError, match="being written"):
                self.make_storage(tmp_path).open()
            study.tell(study.ask(), 1.0)
        with self.study(tmp_path) as study:
            assert study.n_told == 1

    def test_closing_twice_does_nothing(self, tmp_path: Path) -> None:
        """A study may be closed in a block and by hand."""
        study = self.study(tmp_path)
        study.close()
        study.close()
        assert not self.make_storage(tmp_path).is_being_written()

    def test_a_continued_study_equals_an_uninterrupted_one_at_every_cut(self, tmp_path: Path) -> None:
        """Cut by dropping the study as a killed process does, between asking and telling at every second cut."""
        whole = self.study(tmp_path, storage=None)
        _run(whole, N_TRIALS)
        for cut in range(N_TRIALS):
            place = tmp_path / str(cut)
            place.mkdir()
            study = self.study(place)
            _run(study, cut)
            if cut % 2:
                study.ask()
            del study
            with self.study(place) as study:
                assert study.n_told == cut
                _run(study, N_TRIALS - cut)
                assert _outcome(study) == _outcome(whole)

    def test_other_settings_are_refused_with_the_difference(self, tmp_path: Path) -> None:
        """And the study is still there."""
        with self.study(tmp_path) as study:
            _run(study, 2)
        with pytest.raises(StorageError, match="seed was 3, now 4"):
            self.study(tmp_path, seed=4)
        with self.study(tmp_path) as study:
            assert study.n_told == 2


def _run(study: Study, n_trials: int) -> None:
    for _ in range(n_trials):
        trial = study.ask()
        study.tell(trial, trial.n_params / 1e6)


def _outcome(study: Study) -> list[tuple[Any, ...]]:
    return [(t.number, t.arch_json, t.origin, t.proposal_batch, t.state, t.score) for t in study.trials]
