"""Whether one version is slower than another: ratios of times with intervals, and what must be equal.

Two ways to compare. *Paired*: both versions run in one process, in turn, and each round gives a ratio, so
whatever slows the machine slows both. *Saved*: the rounds of an earlier run against today's; a fixed piece of
work, the yardstick, is timed before each round of both, and a version counts as slower only if it is so in
seconds and in yardsticks, because a machine's own speed drifts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

LEVEL = 0.99  # of every interval: a run holds dozens of comparisons
RESAMPLES = 4000
LEAST_ROUNDS = 7  # of each side; with fewer, one side may lie above the other by chance
MACHINE_FIELDS = {  # in pytest-benchmark's machine_info: what a time depends on, versions of the model apart
    "system": "operating system",
    "machine": "architecture",
    "cpu.brand_raw": "processor",
    "cpu.count": "processors",
    "python": "Python",
    "torch": "torch",
    "torch_build": "torch's build",
    "torch_threads": "threads of torch",
    "blas_threads": "threads of BLAS",
    "cpu_capability": "vector instructions",
    "numpy": "NumPy",
    "numba": "Numba",
    "device": "device",
    "gpu": "GPU",
    "driver": "GPU driver",
    "cuda": "CUDA",
}


@dataclass(frozen=True)
class Limit:
    """How much larger a statistic of the times may get: ``share`` of the old one, or ``seconds``."""

    field: str
    share: float | None = None
    seconds: float | None = None

    def ratio(self, old: float) -> float:
        """The largest allowed new / old where the old statistic is ``old`` seconds."""
        if self.share is not None:
            return 1 + self.share
        return 1 + self.seconds / old if old > 0 else math.inf

    def __str__(self) -> str:
        amount = f"{self.share:.0%}" if self.share is not None else f"{self.seconds:g} s"
        return f"{self.field}:{amount}"


@dataclass(frozen=True)
class Change:
    """A statistic of the times of one benchmark, old and new.

    Attributes:
        field: which statistic.
        old, new: it, in seconds.
        ratio, low, high: new / old with its interval of level ``LEVEL``; ``low`` is the lower end over all
            the ways it was measured, ``high`` the upper one.
        rounds: the smaller number of rounds of the two.
        paired: whether the two ran in turn.
        drift: how many times as long the yardstick took as in the old run; None where it was not timed.
    """

    field: str
    old: float
    new: float
    ratio: float
    low: float
    high: float
    rounds: int
    paired: bool
    drift: float | None = None

    def verdict(self, limit: Limit) -> str:
        """``regressed``, ``open`` (the interval holds the limit) or ``within``."""
        allowed = limit.ratio(self.old)
        if self.low > allowed:
            return "regressed"
        return "within" if self.high <= allowed else "open"

    def describe(self) -> str:
        """``median 1.20 ms against 1.00 ms, ratio 1.2 [1.1, 1.3]``."""
        text = f"{self.field} {duration(self.new)} against {duration(self.old)}, ratio {self.ratio:.3g} "
        text += f"[{self.low:.3g}, {self.high:.3g}] from {self.rounds} " + (
            "pairs of rounds" if self.paired else "rounds"
        )
        if self.drift is not None and abs(self.drift - 1) > 0.05:
            text += f" (the machine itself took {self.drift:.3g} times as long as then)"
        return text


def paired_change(old: Sequence[float], new: Sequence[float], field: str = "median") -> Change:
    """Compare rounds that ran in turn.

    Args:
        old, new: seconds of each round, (n,) both, pair by pair.
        field: ``median`` compares by the median of the pairs' ratios, its interval from order statistics
            (exact for any distribution); ``mean`` by the geometric mean, Student's interval; other fields by
            the ratio of the statistics, a bootstrap over pairs.
    """
    old, new = _times(old), _times(new)
    ratios = new / old
    if field == "median":
        ratio, (low, high) = float(np.median(ratios)), median_interval(ratios)
    elif field == "mean":
        logs = np.log(ratios)
        ratio = math.exp(logs.mean())
        half = scipy.stats.t.ppf(0.5 + LEVEL / 2, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs))
        low, high = ratio * math.exp(-half), ratio * math.exp(half)
    else:
        statistic = STATISTICS[field]
        ratio = float(statistic(new) / statistic(old))
        rows = _rows(len(old), seed=0)
        low, high = _percentiles(statistic(new[rows]) / statistic(old[rows]))
    value = STATISTICS[field]
    return Change(field, float(value(old)), float(value(new)), ratio, low, high, len(old), True)


def saved_change(
    old: Sequence[float],
    new: Sequence[float],
    field: str = "median",
    *,
    old_yardstick: Sequence[float] | None = None,
    new_yardstick: Sequence[float] | None = None,
) -> Change:
    """Compare today's rounds with those of an earlier run.

    Args:
        old, new: seconds of each round.
        field: the statistic.
        old_yardstick, new_yardstick: seconds the yardstick took before each round. With both, the interval
            reaches from the lower of the lower ends, in seconds and in mean yardsticks, to the higher upper
            one. With fewer than ``LEAST_ROUNDS`` rounds it is everything.
    """
    old, new = _times(old), _times(new)
    statistic = STATISTICS[field]
    ratios = _resampled_ratios(old, new, statistic, seed=1)
    ends, drift = [_percentiles(ratios)], None
    if old_yardstick is not None and new_yardstick is not None:
        then, now = _times(old_yardstick), _times(new_yardstick)
        # The mean: other work stops one of many short yardsticks for long, and a long round by its share.
        drift = float(np.mean(now) / np.mean(then))
        ends.append(_percentiles(ratios / _resampled_ratios(then, now, STATISTICS["mean"], seed=3)))
    if min(len(old), len(new)) < LEAST_ROUNDS:
        ends.append((0.0, math.inf))
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    before, after = float(statistic(old)), float(statistic(new))
    return Change(field, before, after, after / before, low, high, min(len(old), len(new)), False, drift)


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """The interval of a median from order statistics; (0, inf) where there are too few values."""
    ordered = np.sort(values)
    k = int(scipy.stats.binom.ppf((1 - LEVEL) / 2, len(ordered), 0.5))
    if scipy.stats.binom.cdf(k, len(ordered), 0.5) > (1 - LEVEL) / 2:
        k -= 1
    if k < 0:
        return 0.0, math.inf
    return float(ordered[k]), float(ordered[-1 - k])


def _iqr(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, [25, 75], axis=-1)
    return high - low


STATISTICS: dict[str, Callable[[np.ndarray], Any]] = {  # by pytest-benchmark's names
    "min": lambda values: np.min(values, axis=-1),
    "max": lambda values: np.max(values, axis=-1),
    "mean": lambda values: np.mean(values, axis=-1),
    "median": lambda values: np.median(values, axis=-1),
    "stddev": lambda values: np.std(values, axis=-1, ddof=1),
    "iqr": _iqr,
}


def _times(values: Sequence[float]) -> np.ndarray:
    return np.maximum(np.asarray(values, np.float64), 1e-12)


def _rows(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(values) else (0.0, math.inf)
    return float(low), float(high)


def _resampled_ratios(old: np.ndarray, new: np.ndarray, statistic: Callable, seed: int) -> np.ndarray:
    """(RESAMPLES,) statistic(new) / statistic(old), the rounds of each resampled on their own."""
    return statistic(new[_rows(len(new), seed)]) / statistic(old[_rows(len(old), seed + 1)])


def duration(seconds: float) -> str:
    """Seconds in the unit that leaves one to three digits before the point."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def machine_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What times depend on and differs between two of pytest-benchmark's ``machine_info``, a phrase each."""
    found = []
    for path, words in MACHINE_FIELDS.items():
        then, now = _look_up(old, path), _look_up(new, path)
        if then != now:
            found.append(f"{words}: {_shown(then)} then, {_shown(now)} now")
    return found


def _look_up(info: Mapping[str, Any], path: str) -> Any:
    for key in path.split("."):
        info = info.get(key) if isinstance(info, Mapping) else None
    return info


def _shown(value: Any) -> str:
    return "none" if value is None else repr(value) if isinstance(value, str) else str(value)
