"""Let tasks be done by workers: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from simlab.analysis.libraries import library
from simlab.errors import SimlabError
from simlab.runner.sweep.work import FAILED, Task

__all__ = ["on_dask", "on_this_machine"]

Work = Callable[[Task], dict[str, Any]]
_IN_FLIGHT = 4
"""Tasks a worker has, one under way and the others waiting."""


def on_this_machine(work: Work, tasks: Sequence[Task], workers: int) -> Iterator[dict[str, Any]]:
    """Yield the row of every task as it is done, in any order, from processes of this machine.

    A worker that dies (a signal, no memory left) takes no other run with it: what was not done is done by new
    ones, and where nothing came of that, one run is made alone, so that the run that kills is found.
    """
    left, alone = {task.run: task for task in tasks}, False
    while left:
        before = len(left)
        chosen = list(left.values())[: 1 if alone else None]
        try:
            # one worker is this process itself; a run that may kill needs one of its own, even alone
            for row in _parallel(work, chosen, max(workers, 2) if alone else workers):
                del left[row["run"]]
                yield row
            alone = False
        except _terminated() as error:
            if alone:
                told = f"the process of this run died ({type(error).__name__}): killed, or out of memory"
                del left[chosen[0].run]
                yield {"run": chosen[0].run, "status": FAILED, "error": told}
            alone = len(left) == before


def _parallel(work: Work, tasks: Iterable[Task], workers: int) -> Iterator[dict[str, Any]]:
    joblib = library("joblib")
    pool = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
    with warnings.catch_warnings():
        # A worker that has grown is replaced by a new one; its tasks are not lost.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield from pool(joblib.delayed(work)(task) for task in tasks)


def _terminated() -> type[BaseException]:
    found: type[BaseException] = library("joblib.externals.loky.process_executor").TerminatedWorkerError
    return found


def on_dask(work: Work, tasks: Sequence[Task], address: str) -> Iterator[dict[str, Any]]:
    """Yield the row of every task as it is done, in any order, from the workers of a Dask cluster.

    A worker that dies is no harm: the scheduler gives what it had to others. Only so many tasks are with the
    cluster at once that every worker has a few, so memory does not grow with the number of runs.

    Raises
    ------
    SimlabError
        When there is no scheduler at the address.
    """
    distributed = library("distributed", "cluster")
    try:
        client = distributed.Client(address, timeout="10s", set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise SimlabError(
            f"no Dask scheduler answers at {address} ({error}); start one with `dask scheduler` and workers"
            " with `dask worker ADDRESS`"
        ) from error
    with client:
        yield from _from_cluster(distributed, client, work, iter(tasks))


def _from_cluster(
    distributed: Any, client: Any, work: Work, waiting: Iterator[Task]
) -> Iterator[dict[str, Any]]:
    # `pure=False`: a run that is asked for again is a run, and not a result that the cluster remembers
    submit = lambda task: client.submit(work, task, pure=False, retries=0)  # noqa: E731
    runs: dict[str, int] = {}
    done = distributed.as_completed([], loop=client.loop)

    def hand_out() -> None:
        room = _IN_FLIGHT * max(1, sum(client.nthreads().values()))
        while len(runs) < room:
            task = next(waiting, None)
            if task is None:
                return
            future = submit(task)
            runs[future.key] = task.run
            done.add(future)

    hand_out()
    while runs:
        future = next(done)
        run = runs.pop(future.key)
        if future.status == "finished":
            yield future.result()
        else:
            error = future.exception()
            yield {"run": run, "status": FAILED, "error": f"{type(error).__name__}: {error}"}
        future.release()
        hand_out()
