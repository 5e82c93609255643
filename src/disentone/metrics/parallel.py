"""Estimators of other libraries, one fit per thread."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Task = TypeVar("Task")
Result = TypeVar("Result")
_workers: ContextVar[int | None] = ContextVar("workers", default=None)


def each(function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
    """The function of every task, in order, on as many threads as torch would use.

    Each call computes on a single thread: fits are many and small, and teams of OpenMP threads that wait for one
    another on busy cores cost tenfold.
    """
    with threadpool_limits(1, user_api="blas"):
        # OpenMP counts its threads for each calling thread, so every worker sets its own limit and takes it along.
        limit = partial(threadpool_limits, 1, user_api="openmp")
        with ThreadPoolExecutor(_workers.get() or torch.get_num_threads(), initializer=limit) as pool:
            return list(pool.map(function, tasks))


@contextmanager
def small_work() -> Iterator[None]:
    """Let torch compute on one thread, for the same reason; :func:`each` keeps the number of threads there was."""
    threads = torch.get_num_threads()
    outer = _workers.set(threads)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _workers.reset(outer)
