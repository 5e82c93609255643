"""Estimators of other libraries, one fit per thread."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Task = TypeVar("Task")
Result = TypeVar("Result")


def each(function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
    """The function of every task, in order, on as many threads as torch would use.

    Each call computes on a single thread: fits are many and small, and teams of OpenMP threads that wait for one
    another on busy cores cost tenfold.
    """
    with threadpool_limits(1, user_api="blas"):
        # OpenMP counts its threads for each calling thread, so every worker sets its own limit and takes it along.
        limit = partial(threadpool_limits, 1, user_api="openmp")
        with ThreadPoolExecutor(torch.get_num_threads(), initializer=limit) as pool:
            return list(pool.map(function, tasks))
