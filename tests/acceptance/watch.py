"""Watches production from outside while executions run: what EC2 shows of it, and what its users get."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from threading import Event
from typing import TypeVar

from tests.acceptance.pair_on_aws import PairOnAws

PAUSE_SECONDS = 0.2
# New connections may take some 10 s to reach the new server, and a request waits up to 5 s. AWS publishes no bound.
ANSWER_SECONDS = 20

T = TypeVar("T")


@contextmanager
def stays_on_a_server(pair: PairOnAws) -> Iterator[None]:
    """Fail if EC2 shows production on no server of the pair while the block runs."""
    with _observed(lambda: pair.places().production) as observations:
        yield
    lost = [f"{seconds:.1f} s" for seconds, server in observations if server is None]
    assert not lost, f"EC2 showed production on no server at {', '.join(lost)}"


@contextmanager
def stays_up(pair: PairOnAws) -> Iterator[None]:
    """Fail if production is on no server while the block runs, or if it does not answer for a while.

    Each answer counts, also 500: a release that fails as production answers so until it is rolled back.
    """
    with stays_on_a_server(pair), _observed(lambda: pair.answer("production")) as observations:
        yield
    end = observations[-1][0]
    answered = [0.0, *(seconds for seconds, answer in observations if answer), end]
    longest = max(later - earlier for earlier, later in pairwise(answered))
    assert longest < ANSWER_SECONDS, f"production did not answer for {longest:.1f} s"


@contextmanager
def _observed(look: Callable[[], T]) -> Iterator[list[tuple[float, T]]]:
    """What `look` returns again and again while the block runs, each with the seconds since its beginning."""
    observations, over, began = list[tuple[float, T]](), Event(), time.monotonic()

    def observe() -> None:
        while not over.is_set():
            observation = look()
            observations.append((time.monotonic() - began, observation))
            over.wait(PAUSE_SECONDS)

    with ThreadPoolExecutor(1) as pool:
        observing = pool.submit(observe)
        try:
            yield observations
        finally:
            over.set()
    observing.result()
