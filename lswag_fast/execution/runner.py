"""What runs one job over many arguments: the protocol, and the two runners that need nothing but an executor."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Protocol

from lswag_fast.errors import JobAbortedError

Job = Callable[[str], Any]
"""A text -> what became of it. For other processes it is pickled; what it raises is the future's error."""

# Torch's random state and number of threads are one per process: jobs in it take turns.
_ONE_PER_PROCESS = threading.Lock()


class JobRunner(Protocol):
    """Runs one job over many arguments.

    Example:
        >>> from lswag_fast.execution import open_runner
        >>> with open_runner(str.upper) as runner:
        ...     runner.n_slots, runner.submit("job").result()
        (1, 'JOB')
    """

    @property
    def n_slots(self) -> int:
        """How many arguments are worked on at once; may change while a cluster grows or shrinks."""

    def submit(self, argument: str) -> Future[Any]:
        """Start the job on an argument."""

    def close(self) -> None:
        """Cancel what has not started. What runs is left to the executor, which belongs to whoever made it."""


def run_alone(job: Job, argument: str) -> Any:
    """Run a job when no other one runs in this process.

    Raises:
        JobAbortedError: in place of what is meant to end a program; else what the job raises.
    """
    try:
        with _ONE_PER_PROCESS:
            return job(argument)
    except Exception:
        raise
    except BaseException as error:
        raise aborted(error) from error


def aborted(error: BaseException) -> JobAbortedError:
    """Return the error of a job that raised what is meant to end a program; it ends the job alone."""
    text = f": {error}" if str(error) else ""
    return JobAbortedError(f"it raised {type(error).__name__}{text}")


class LocalRunner:
    """Runs the job in this process when an argument is submitted.

    Ctrl-C and the end of the program come out of `submit`: nobody can tell whether the job or a signal raised them.
    """

    n_slots = 1

    def __init__(self, job: Job) -> None:
        self._job = job

    def submit(self, argument: str) -> Future[Any]:
        """Run the job; the future is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(self._job(argument))
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:  # travels in the future, as from any executor
            future.set_exception(error)
        except BaseException as error:
            future.set_exception(aborted(error))
        return future

    def close(self) -> None:
        """Nothing is left to cancel."""


class OpenFutures:
    """Keeps the futures that are not done, to cancel them."""

    def __init__(self) -> None:
        self._futures: set[Future[Any]] = set()

    def add(self, future: Future[Any]) -> Future[Any]:
        """Keep a future until it is done; return it."""
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def close(self) -> None:
        """Cancel what has not started."""
        for future in list(self._futures):
            future.cancel()


class ExecutorRunner(OpenFutures):
    """Runs the job in an executor about which nothing is known: the job travels with every argument."""

    def __init__(self, job: Job, executor: Executor) -> None:
        super().__init__()
        self.n_slots: int = getattr(executor, "_max_workers", None) or os.cpu_count() or 1
        self._job = job
        self._executor = executor

    def submit(self, argument: str) -> Future[Any]:
        """Give the job and the argument to the executor."""
        return self.add(self._executor.submit(run_alone, self._job, argument))
