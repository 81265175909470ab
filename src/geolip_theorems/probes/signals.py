"""The signals that probes read, one entry each, and which of them are joined and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..io.registry import Registry
from ..stats.grids import mode_energy, why_absent

LOG_FLOOR = 1e-6  # of the median positive value; keeps an exact zero finite


def logarithm(x: np.ndarray) -> np.ndarray:
    """log of x, values at or below a millionth of the median positive one taken as that."""
    positive = x[x > 0]
    floor = LOG_FLOOR * float(np.median(positive, overwrite_input=True)) if positive.size else 1.0
    del positive
    raised = np.maximum(x, floor)
    return np.log(raised, out=raised)


@dataclass(frozen=True)
class Signal:
    """What a probe reads.

    Attributes:
        name: of its feature group and its figures.
        reads: the maps it is made of, by their names in :class:`geolip_theorems.extraction.maps.Maps`.
        values: those arrays (N, gh, gw, ...) -> features (N, gh, gw, ...); the only array itself by default.
        logarithm: of features in float64; None for those that may be negative.
        trivial: what the images tell without any model.
        label: a letter for narrow columns; without one the signal is left out of figures by class.
    """

    name: str
    reads: tuple[str, ...]
    values: Callable[..., np.ndarray] = np.asarray
    logarithm: Callable[[np.ndarray], np.ndarray] | None = logarithm
    trivial: bool = False
    label: str = ""

    def of(self, maps: Any) -> np.ndarray | None:
        """The features (N, gh, gw, ...), or None where a map is missing."""
        arrays = [getattr(maps, name, None) for name in self.reads]
        return None if any(array is None for array in arrays) else self.values(*arrays)

    def missing(self, maps: Any) -> str | None:
        """Why the maps do not hold it, or None where they do."""
        reasons = filter(None, (why_absent(maps, name) for name in self.reads))
        return next((f"no {self.name}: {why}" for why in reasons), None)


SIGNALS: Registry[Signal] = Registry(
    Signal("release", ("error",), label="R"),
    Signal("eigenvalues", ("S",), label="E"),
    Signal("friction", ("friction",), label="F"),
    Signal("settle", ("settle",), logarithm=np.log1p),  # counts of iterations, 0 among them
    Signal("mode_energy", ("S",), lambda S: mode_energy(np.asarray(S, np.float32))),
    Signal("patch_means", ("input_mean",), logarithm=None, trivial=True),
    Signal("input_variance", ("input_var",), trivial=True),
)

# A signal joins no combination and no lift by itself: each lift more widens the joint intervals of all.
ALL = "release+eigenvalues+friction"
COMBINATIONS: dict[str, tuple[str, ...]] = {
    name: tuple(name.split("+")) for name in ("release+eigenvalues", "release+friction", ALL)
}
PARTS = COMBINATIONS[ALL]
BEST = "best_single"  # the best of the parts, chosen inside the folds
LIFTS: dict[str, tuple[str, str]] = {
    "release-eigenvalues": ("release", "eigenvalues"),
    "release-friction": ("release", "friction"),
    "release+eigenvalues-eigenvalues": ("release+eigenvalues", "eigenvalues"),
    "release+friction-friction": ("release+friction", "friction"),
    "all-eigenvalues": (ALL, "eigenvalues"),
    "all-best_single": (ALL, BEST),
    "release-patch_means": ("release", "patch_means"),
}


def letters() -> dict[str, str]:
    """Probe -> its letters, of signals that have one and of combinations: ``R+E``."""
    own = {signal.name: signal.label for signal in SIGNALS.values() if signal.label}
    return own | {name: "+".join(own[part] for part in parts) for name, parts in COMBINATIONS.items()}


def legend() -> str:
    """What the letters mean: ``R release, E eigenvalues``."""
    return ", ".join(f"{signal.label} {signal.name}" for signal in SIGNALS.values() if signal.label)


def trivial() -> tuple[str, ...]:
    """The signals that need no model."""
    return tuple(signal.name for signal in SIGNALS.values() if signal.trivial)


def missing_probes(maps: Any) -> dict[str, str]:
    """Probe -> why there is none, of parts, combinations and the best part."""
    missing = {name: why for name in PARTS if (why := SIGNALS[name].missing(maps))}
    needs = {name: (name,) for name in PARTS} | COMBINATIONS | {BEST: PARTS}
    reasons = {name: [missing[part] for part in parts if part in missing] for name, parts in needs.items()}
    return {name: found[0] for name, found in reasons.items() if found}
