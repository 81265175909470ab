"""How long and how often things are damaged: a fixed number of times in CI, or for as long as asked.

``FUZZ_SECONDS`` is the time of each test of ``make fuzz``, which draws other damage each time and counts it
for ``python -m benchmarks.reliability``.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from benchmarks.reliability import count

EXAMPLES = 250  # of each reader in CI; they take 2 to 7 seconds
LONGEST_S = 30.0  # after which CI tries no more
SECONDS = float(os.environ.get("FUZZ_SECONDS", 0))


@dataclass
class Tried:
    """What became of the examples of one reader: all in all, and those that it read."""

    what: str
    examples: int = 0
    accepted: int = 0

    def count(self) -> Tried:
        """Add it to the counts."""
        count(f"damaged: {self.what}", self.examples, self.accepted)
        return self


def fuzzed(what: str, *strategies: SearchStrategy) -> Callable[[Callable], Callable[[], Tried]]:
    """Turn a check of drawn damage, true where it was read, into a function that tries it again and again."""

    def decorate(check: Callable[..., bool]) -> Callable[[], Tried]:
        def run() -> Tried:
            tried, end = Tried(what), time.monotonic() + (SECONDS or LONGEST_S)

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=not SECONDS,  # the same examples every time in CI
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(*strategies)
            @functools.wraps(check)
            def once(*drawn: object, **named: object) -> None:
                if time.monotonic() < end:
                    tried.examples += 1
                    tried.accepted += bool(check(*drawn, **named))

            once()
            while SECONDS and time.monotonic() < end:
                once()
            return tried.count()

        return run

    return decorate
