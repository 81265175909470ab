"""Questions 4 and 5: what do the maps tell about the class?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...drawing.blocks import Figure, Note, ends, p_text, points, share, table
from ...drawing.charts import MOST_ROWS, Dot, dot_plot, each, matrix
from ...drawing.shown import Shown
from ...probes.signals import LIFTS, legend, letters, trivial

NO_LABELS = "The images have no labels, so there is no class to tell."


def _figures(shown: Shown) -> dict[str, Mapping[str, Any]]:
    probes = shown.get("calibrated.probes") or {}
    return {name: f for name, f in probes.items() if isinstance(f, Mapping) and "value" in f}


def _measured(shown: Shown) -> str | None:
    """Why there are no accuracies, or None where there are some."""
    figures = _figures(shown)
    if not figures:
        return NO_LABELS if not shown.classes else "Probe accuracies were not measured."
    if all(f["value"] is None for f in figures.values()):
        return f"Probe accuracies were not measured: {next(iter(figures.values())).get('method')}."
    return None


def accuracies(shown: Shown) -> Any:
    """Accuracy of every probe with interval, chance and the script's value."""
    absent = _measured(shown)
    if absent:
        return Note(absent)
    figures, chance = _figures(shown), shown.get("calibrated.probes.chance")
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
    best = max((r for r in rows if r.value is not None), key=lambda r: r.value)
    alt = f"Accuracy of {len(rows)} probes; best {best.name} with {100 * best.value:.1f} %"
    alt += "" if chance is None else f"; chance {100 * chance:.1f} %"
    picture = dot_plot(
        rows,
        key=shown.key("q4-accuracy"),
        alt=alt,
        unit="accuracy, per cent",
        line=chance,
        line_text="chance",
        scale=100,
    )
    method = next((f["method"] for f in figures.values() if f["value"] is not None), "")
    n = max((f.get("n") or 0) for f in figures.values())
    caption = (
        f"n = {n:,} images. Dot and bar: held-out accuracy and 95 % interval ({method}). Diamond and "
        "line: the script's "
        " mean and range over split seeds. Chance is the majority class's share. * what the "
        "images tell without "
        "any model."
    )
    return Figure("Accuracy of the probes", picture, alt, caption)


def lifts(shown: Shown) -> Any:
    """What one set of features adds to another."""
    found = {k: f for k, f in (shown.get("calibrated.lifts") or {}).items() if f.get("value") is not None}
    if not found:
        return None
    script = shown.get("script.probes") or {}
    rows = []
    for name, f in found.items():
        a, b = LIFTS.get(name, ("", ""))
        known = script.get(a) and script.get(b)
        other = script[a]["test"] - script[b]["test"] if known else None
        rows.append(Dot(name.replace("_", " ").replace("-", " − "), f["value"], f["ci95"], other))
    alt = "Lifts in percentage points: " + "; ".join(f"{r.name} {100 * r.value:+.1f}" for r in rows)
    near = [r for r in rows if "chance" not in r.name] or rows
    picture = dot_plot(
        near,
        key=shown.key("q4-lifts"),
        alt=alt,
        unit="difference of accuracies, percentage points",
        line=0.0,
        line_text="no lift",
        scale=100,
    )
    first = next(iter(found.values()))
    caption = (
        f"n = {first['n']:,} images, paired. Bar: 95 % interval ({first['method']}). Diamond: the script's "
        " "
        "difference on its single split, without an interval. The lift over chance is in the table."
    )
    return Figure("Lifts", picture, alt, caption)


def by_class(shown: Shown) -> Any:
    """How well each class is told."""
    held_out = _held_out(shown)
    if held_out is not None:
        return held_out
    script = {name: p for name, p in (shown.get("script.probes") or {}).items() if p}
    classes = list((next(iter(script.values())).get("per_class") or {}) if script else {})[:MOST_ROWS]
    if not classes:
        return None
    values = np.array(
        [[_number((probe.get("per_class") or {}).get(name)) for name in classes] for probe in script.values()]
    )
    low = float(np.nanmin(values)) if np.isfinite(values).any() else 0.0
    alt = f"Test accuracy of each class for {len(script)} probes, from {100 * low:.0f} %"
    picture = matrix(
        100 * values,
        [letters().get(name, name) for name in script],
        classes,
        key=shown.key("q4-classes"),
        alt=alt,
        unit="test accuracy, per cent",
        limits=(100 * low, 100.0),
        text=lambda v: f"{v:.0f}",
        axis_names=("class", ""),
    )
    counts = shown.get("script.counts.maps") or 0
    caption = (
        f"n = {counts - int(0.8 * counts):,} test images. The script's single split: point values "
        "without "
        f"intervals, to see where classes differ, not by how much. {legend()}."
    )
    return Figure("Accuracy of each class", picture, alt, caption)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _held_out(shown: Shown) -> Any:
    """Each class's accuracy by the calibrated probes, from the companion's hits."""
    labels = shown.array("per_image/label", 1)
    hits = {name: shown.array(f"per_image/hits/{name}", 2) for name in letters()}
    hits = {name: rows for name, rows in hits.items() if rows is not None}
    if labels is None or not hits or any(rows.shape[1] != len(labels) for rows in hits.values()):
        return None
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    few = present[:MOST_ROWS]
    values = np.array([[100 * rows[:, labels == c].mean() for c in few] for rows in hits.values()])
    names = [shown.classes[c] if c < len(shown.classes) else str(c) for c in few]
    alt = f"Held-out accuracy of each class for {len(hits)} probes, from {values.min():.0f} %"
    picture = matrix(
        values.T,
        names,
        [letters()[name] for name in hits],
        key=shown.key("q4-classes"),
        alt=alt,
        unit="held-out accuracy, per cent",
        limits=(float(values.min()), 100.0),
        text=lambda v: f"{v:.0f}",
        axis_names=("", "class"),
    )
    more = f" The first {MOST_ROWS} of {len(present)} classes." if len(present) > MOST_ROWS else ""
    caption = f"{each(counts[few])}, each held out. Point values without intervals.{more} {legend()}."
    return Figure("Accuracy of each class", picture, alt, caption)


def confusions(shown: Shown) -> list[Any]:
    """Which class is taken for which, by each probe that keeps it."""
    found = shown.get("calibrated.probes.confusion") or {}
    classes = found.get("classes") or []
    if not 1 < len(classes) <= MOST_ROWS:
        return []
    names = [shown.classes[c] if c < len(shown.classes) else str(c) for c in classes]
    repeats = shown.get("calibrated.probes.repeats") or 1
    made = []
    for probe, counts in found.items():
        if probe == "classes":
            continue
        rows = np.array(counts, np.float64)
        percent = 100 * rows / np.maximum(rows.sum(1, keepdims=True), 1)
        wrong = np.where(np.eye(len(rows), dtype=bool), -1, percent)
        worst = np.unravel_index(wrong.argmax(), wrong.shape)
        alt = f"Confusion of {probe}: most often {names[worst[0]]} is taken for {names[worst[1]]}, "
        alt += f"{wrong[worst]:.0f} % of its images"
        picture = matrix(
            percent,
            names,
            names,
            key=shown.key(f"q4-confusion-{letters().get(probe, probe)}"),
            alt=alt,
            unit="share of the class's images, per cent",
            limits=(0.0, max(5.0, float(wrong.max()))),
            text=lambda v: f"{v:.0f}" if v >= 0.5 else "",
            axis_names=("class named", "true class"),
        )
        caption = (
            f"{each(rows.sum(1) / repeats)}, each held out, {repeats} repeats. {alt}. Colours end at the "
        )
        caption += "largest mistake. Point values."
        made.append(Figure(f"What {probe} takes for what", picture, alt, caption))
    return made


def probe_numbers(shown: Shown) -> Any:
    """Accuracies as a table."""
    figures, script = _figures(shown), shown.get("script.probes") or {}
    splits = shown.get("script_accuracies") or {}
    if _measured(shown):
        return None
    rows = []
    for name in {**figures, **script}:
        f, old, spread = figures.get(name) or {}, script.get(name) or {}, splits.get(name) or {}
        row = [name, share(f.get("value")), ends(f.get("ci95"), "share"), share(old.get("train"))]
        rows.append([*row, share(old.get("test")), share(spread.get("mean")), share(spread.get("std"))])
    columns = (
        "features",
        "accuracy",
        "95 % interval",
        "script train",
        "script test",
        "over split seeds",
        "std",
    )
    return table("Numbers of the probes", columns, rows)


def lift_numbers(shown: Shown) -> Any:
    """Lifts as a table."""
    found = shown.get("calibrated.lifts") or {}
    if _measured(shown) or not found:
        return None
    body = [
        [
            name,
            points(f["value"]),
            ends(f["ci95"], "points"),
            ends(f.get("ci95_alone"), "points"),
            p_text(f.get("p")),
            points(f.get("smallest_detectable")),
        ]
        for name, f in found.items()
    ]
    columns = ("lift", "value", "95 %, all at once", "95 %, alone", "p, Bonferroni", "detectable from")
    caption = "Detectable from: the lift whose interval would be above 0 four times in five."
    return table("Numbers of the lifts", columns, body, caption)
