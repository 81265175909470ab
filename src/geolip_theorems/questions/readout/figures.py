"""The report's figures of questions 4 and 5: what do the maps tell about the class?"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...drawing.charts import MOST_ROWS, Dot, dot_plot, each, matrix
from ...drawing.figures import figure, interval_plot, panel
from ...drawing.shown import Shown
from ...probes.signals import LIFTS, legend, letters, trivial
from .tables import accuracy_figures, not_measured


@figure("Accuracy of the probes", "q4-accuracy", needs={"figures": accuracy_figures}, missing=not_measured)
def accuracies(shown: Shown, figures: dict[str, Any]) -> Any:
    """Accuracy of every probe with interval, chance and the script's value."""
    chance = shown.get("calibrated.probes.chance")
    script, splits = shown.get("script.probes") or {}, shown.get("script_accuracies") or {}
    rows = []
    for name in {**figures, **script}:
        f, spread = figures.get(name) or {}, splits.get(name) or {}
        if f.get("value") is None and not spread and not script.get(name):
            continue
        other = spread.get("mean", (script.get(name) or {}).get("test"))
        across = (spread["min"], spread["max"]) if "min" in spread else None
        label = name.replace("_", " ") + (" *" if name in trivial() else "")
        rows.append(Dot(label, f.get("value"), f.get("ci95"), other, across))
    drawn = dot_plot(rows, unit="accuracy, per cent", line=chance, line_text="chance", scale=100)
    best = max((r for r in rows if r.value is not None), key=lambda r: r.value)
    alt = f"Accuracy of {len(rows)} probes; best {best.name} with {100 * best.value:.1f} %"
    alt += "" if chance is None else f"; chance {100 * chance:.1f} %"
    method = next((f["method"] for f in figures.values() if f["value"] is not None), "")
    n = max((f.get("n") or 0) for f in figures.values())
    caption = (
        f"{shown.n(n)}. Dot and bar: held-out accuracy and 95 % interval ({method}). Diamond and "
        "line: the script's mean and range over split seeds. Chance is the majority class's share. * what "
        "the images tell without any model."
    )
    return drawn, alt, caption


@figure("Lifts", "q4-lifts", needs={"lifts": "calibrated.lifts"})
def lifts(shown: Shown, lifts: dict[str, Any]) -> Any:
    """What one set of features adds to another."""
    script = shown.get("script.probes") or {}
    known = {name: found for name, found in lifts.items() if "chance" not in name} or lifts
    others = {}
    for name in known:
        ends = [script.get(side) for side in LIFTS.get(name, ("", ""))]
        others[_spoken(name)] = ends[0]["test"] - ends[1]["test"] if all(ends) else None
    return interval_plot(
        shown,
        {_spoken(name): found for name, found in known.items()},
        "Lifts in percentage points",
        " Paired by image. Diamond: the script's difference on its single split, without an interval. The "
        "lift over chance is in the table.",
        others=others,
        unit="difference of accuracies, percentage points",
        line=0.0,
        line_text="no lift",
        scale=100,
    )


def _spoken(name: str) -> str:
    return name.replace("_", " ").replace("-", " − ")


@figure(
    "Accuracy of each class",
    "q4-classes",
    takes={name: (f"per_image/hits/{name}", 2) for name in letters()} | {"labels": ("per_image/label", 1)},
)
def by_class(shown: Shown, labels: np.ndarray | None, **hits: np.ndarray | None) -> Any:
    """Each class's accuracy by the calibrated probes, from the companion's hits."""
    known = {name: rows for name, rows in hits.items() if rows is not None}
    if labels is None or not known or any(rows.shape[1] != len(labels) for rows in known.values()):
        return None
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    few = present[:MOST_ROWS]
    values = np.array([[100 * rows[:, labels == c].mean() for c in few] for rows in known.values()])
    drawn = matrix(
        values.T,
        [shown.class_name(c) for c in few],
        [letters()[name] for name in known],
        unit="held-out accuracy, per cent",
        limits=(float(values.min()), 100.0),
        text=lambda v: f"{v:.0f}",
        axis_names=("", "class"),
    )
    alt = f"Held-out accuracy of each class for {len(known)} probes, from {values.min():.0f} %"
    more = f" The first {MOST_ROWS} of {len(present)} classes." if len(present) > MOST_ROWS else ""
    caption = f"{each(counts[few])}, each held out. Point values without intervals.{more} {legend()}."
    return drawn, alt, caption


@figure(needs={"found": "calibrated.probes.confusion"})
def confusions(shown: Shown, found: dict[str, Any]) -> Any:
    """Which class is taken for which, by each probe that keeps it."""
    classes = found.get("classes") or []
    if not 1 < len(classes) <= MOST_ROWS:
        return None
    names = [shown.class_name(c) for c in classes]
    repeats = shown.get("calibrated.probes.repeats") or 1
    made = []
    for probe, counts in found.items():
        if probe != "classes":
            key = shown.key(f"q4-confusion-{letters().get(probe, probe)}")
            drawn = _confusion(probe, np.array(counts, np.float64), names, repeats)
            made.append(panel(f"What {probe} takes for what", key, *drawn))
    return made


def _confusion(probe: str, rows: np.ndarray, names: list[str], repeats: int) -> Any:
    percent = 100 * rows / np.maximum(rows.sum(1, keepdims=True), 1)
    wrong = np.where(np.eye(len(rows), dtype=bool), -1, percent)
    worst = np.unravel_index(wrong.argmax(), wrong.shape)
    drawn = matrix(
        percent,
        names,
        names,
        unit="share of the class's images, per cent",
        limits=(0.0, max(5.0, float(wrong.max()))),
        text=lambda v: f"{v:.0f}" if v >= 0.5 else "",
        axis_names=("class named", "true class"),
    )
    alt = f"Confusion of {probe}: most often {names[worst[0]]} is taken for {names[worst[1]]}, "
    alt += f"{wrong[worst]:.0f} % of its images"
    caption = (
        f"{each(rows.sum(1) / repeats)}, each held out, {repeats} repeats. {alt}. Colours end at the "
        "largest mistake. Point values."
    )
    return drawn, alt, caption
