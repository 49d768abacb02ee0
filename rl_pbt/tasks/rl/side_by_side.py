"""Where updates are computed: in a thread beside acting, or in turn with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar, final

import torch

P = ParamSpec("P")
T = TypeVar("T")


@final
class AtOnce(Executor):
    """An executor in the calling thread: what is submitted is done before `submit` returns."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def learner(beside: bool, threads: int) -> Executor:
    """An executor with a thread of its own if `beside`, otherwise this thread. Leaving it waits for an update that is under way.

    A new thread has its own number of OpenMP `threads`, so it must be told too.
    """
    return ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(threads,)) if beside else AtOnce()
