"""Where jobs run: in this process, in worker processes, on a cluster.

Knows nothing of what a job does. `open_executor` makes the place, `open_runner` brings a job there, `run_in_order`
yields what became of each argument in the order of the arguments.
"""

from lswag_fast.execution.executors import open_executor, open_runner
from lswag_fast.execution.interrupts import Interrupts
from lswag_fast.execution.ordered import run_in_order
from lswag_fast.execution.runner import Job, JobRunner
from lswag_fast.execution.workers import WorkerProcesses

__all__ = ["Interrupts", "Job", "JobRunner", "WorkerProcesses", "open_executor", "open_runner", "run_in_order"]
