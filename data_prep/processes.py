"""The processes that make pictures: they end with the one that started them, however that ends, and the other way round."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from ntil.errors import UserError

T = TypeVar("T")


def in_processes(work: Callable[[Any], T], jobs: Sequence[Any], count: int) -> Iterator[T]:
    """`work(job)` for each job, in their order. UserError where one of the processes is killed."""
    # spawn: forked workers would inherit the locks and threads of whatever is training around us.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=end_with_parent) as pool:
        try:
            with _interrupts_are_ours():
                results = pool.map(work, jobs)
            yield from results
        except BrokenProcessPool:
            raise UserError(
                "a process that makes pictures was killed, often for want of memory. The same command starts anew; fewer "
                f"processes than {count} need less memory (--workers {max(1, count // 2)})."
            ) from None
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def end_with_parent() -> None:
    """Called in a worker: a kill -9 of its parent, which nobody can catch, ends it at once."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()  # the end of a pipe that the system closes
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_are_ours() -> Iterator[None]:
    """What is started inside ignores Ctrl-C, which a terminal sends to all: this process ends the others."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
