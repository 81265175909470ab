"""From a subject to its record: maps, measures, controls, verdicts.

Each stage is cached under everything it depends on, so an unchanged run only reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .bank import banked_twins
from .claims import CLAIMS, Claim
from .expectations import Expectation
from .extraction import Extraction, Maps
from .extraction.cache import MapsCache
from .extraction.engines import spread
from .extraction.gallery import gallery_arrays
from .measures import MEASURES_VERSION, calibrated, seed_accuracies, seed_protocol
from .measures.arrays import image_groups, image_labels
from .measures.attribution import Attribution
from .measures.decisions import decide
from .measures.per_image import packed, per_image_arrays, unpacked
from .measures.probes import out_of_fold_hits
from .model.architectures import architecture_of
from .notes import subject_notes
from .record import SubjectRecord, Verdict
from .subject import Subject
from .twins import KEPT, Controls, Measured, Twin, control_images, drawn_seeds, measured, twin_of

SPLIT_SEEDS = 10
PROBE_QUESTIONS = ("q4", "q5")
NO_LABELS = "the images have no labels, and this question compares classes; give a labelled data set"

# Called with (what is being done, steps in all); gives a function that is told the steps done.
Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def unwatched(label: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """A watch that shows nothing."""
    return nullcontext(lambda done: None)


@dataclass(frozen=True)
class Analysis:
    """A subject's maps and what was measured on them.

    Attributes:
        hits: (R, N) bool a probe, out of fold; empty where there are none.
    """

    maps: Maps
    record: SubjectRecord
    subject: Subject
    hits: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def companion(self) -> dict[str, np.ndarray]:
        """The arrays kept beside the record, see :mod:`geolip_theorems.companion`."""
        return {**per_image_arrays(self.maps, self.hits), **gallery_arrays(self.subject, self.maps)}


def analyse(
    subject: Subject,
    cache: MapsCache,
    *,
    claims: tuple[Claim, ...] = CLAIMS,
    expectations: Iterable[Expectation] = (),
    watch: Watch = unwatched,
) -> Analysis:
    """Measure a subject and give the verdicts.

    Args:
        subject: the model and the images.
        cache: where maps and analyses are kept.
        claims: with their thresholds.
        expectations: verdicts expected not to hold.
        watch: shows progress.

    Raises:
        InputError: the model's output is unusable, or the cache cannot be written.

    Cost: extraction, see :func:`extract`; the measures, see :mod:`geolip_theorems.measures`; for each
    control the same on ``control_images`` images.
    """
    options = subject.options
    timings: dict[str, Any] = {}
    maps, entry = _maps(subject, subject.ablated(), cache, watch, timings)
    begun = time.monotonic()
    key = {"measures": MEASURES_VERSION, "seed": options.seed}
    fair = {**key, "probe": options.probe}
    with watch("measuring", 2) as done:
        seed_key = {**key, "what": "seed_protocol"}
        seed = cache.analysis(entry, seed_key, lambda: _seed_figures(maps, options.seed))
        done(1)
        figures = cache.analysis(entry, {**fair, "what": "calibrated"}, lambda: _calibrated(maps, subject))
        hits = cache.analysis(entry, {**fair, "what": "hits"}, lambda: packed(_hits(maps, subject)))
        done(2)
    timings["measures_s"] = round(time.monotonic() - begun, 3)
    begun = time.monotonic()
    controls = _controls(subject, maps, entry, cache, watch)
    timings["controls_s"] = round(time.monotonic() - begun, 3)
    record = SubjectRecord(
        id=subject.id,
        model=subject.describe_model(),
        dataset=subject.describe_dataset(),
        seed=options.seed,
        device=options.device,
        protocol=subject.describe_protocol(),
        measurements={
            **seed,
            "calibrated": _with_twins(figures, controls),
            "controls": controls.summary() if controls else None,
        },
        timings=timings,
        notes=subject_notes(subject.model.model, maps),
    )
    here = (subject.model.name, subject.images.name, len(subject.images))
    known = {e.claim: e for e in expectations if (e.model, e.dataset, e.images) == here}
    labelled = maps.labels is not None
    record.verdicts = [
        verdict_on(
            claim,
            record.measurements,
            labelled,
            controls.attribution(claim) if controls else None,
            known.get(claim.name),
            group_count(maps, claim),
        )
        for claim in claims
    ]
    for verdict in record.verdicts:
        verdict.probe = options.probe if verdict.question in PROBE_QUESTIONS else None
    return Analysis(maps, record, subject, unpacked(hits))


def verdict_on(
    claim: Claim,
    measurements: Mapping[str, Any],
    labelled: bool,
    twins: Attribution | None = None,
    expectation: Expectation | None = None,
    groups: int | None = None,
) -> Verdict:
    """The verdict on one claim from a subject's measurements; ``groups`` of images, where there are any."""
    figure = look_up(measurements["calibrated"], claim.metric) or {}
    shared = {
        "theorem": 3,
        "question": claim.question,
        "claim": claim.name,
        "metric": claim.metric,
        "title": claim.title,
        "threshold": claim.threshold,
        "comparison": claim.comparison,
        "expected": expectation.verdict if expectation else None,
        "expected_reason": expectation.reason if expectation else None,
        "seed_value": _seed_value(claim, measurements["seed_protocol"]),
    }
    value, ci95, n = figure.get("value"), figure.get("ci95"), int(figure.get("n") or 0)
    method = figure.get("method", "")
    if value is None:
        reason = (
            NO_LABELS
            if claim.needs_labels and not labelled
            else method or "there is nothing to measure it on"
        )
        return Verdict(
            **shared, value=None, ci95=None, method=method, n=n, p=None, verdict="not measured", reason=reason
        )
    p = look_up(measurements["calibrated"], claim.p_from) if claim.p_from else None
    decision = decide(
        value,
        ci95,
        claim.threshold,
        claim.comparison,
        p,
        n=n,
        units=figure.get("units", groups),
        reach=figure.get("reach"),
        needs_p=claim.p_from is not None and labelled,
    )
    if ci95 is None and method:
        decision = replace(decision, reason=method)  # which says why there is no interval
    return Verdict(
        **shared,
        value=value,
        ci95=ci95,
        method=method,
        n=n,
        p=p,
        verdict=decision.verdict,
        reason=decision.reason,
        n_to_decide=decision.n_to_decide,
        attributed=twins.attributed if twins else None,
        attribution=asdict(twins) if twins else None,
    )


def group_count(maps: Maps, claim: Claim) -> int | None:
    """Groups of images that a claim's figure rests on, or None where images are independent."""
    groups = image_groups(maps)
    if groups is not None and claim.metric.startswith("modes.") and maps.ablated is not None:
        groups = groups[maps.ablated]
    return None if groups is None else len(np.unique(groups))


def look_up(tree: Mapping[str, Any], path: str) -> Any:
    """The entry at keys joined by dots, or None where one of them is missing."""
    node: Any = tree
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _maps(
    subject: Subject, ablated: np.ndarray, cache: MapsCache, watch: Watch, timings: dict[str, Any]
) -> tuple[Maps, Path]:
    begun = time.monotonic()
    extraction = Extraction(
        subject.model.model,
        subject.images,
        device=subject.options.device,
        ablated=ablated,
        batch=subject.options.batch_size,
        watch=lambda: watch(f"extracting {subject.id}", len(subject.images)),
        say=cache.say,
    )
    options = subject.options
    source = spread(extraction, options.workers, options.engine, options.ray_address)
    about = {"model": subject.model.name, "dataset": subject.images.name}
    maps, entry, shards, computed = cache.maps(subject.maps_key(ablated), source, about)
    timings.update(
        extraction_s=round(time.monotonic() - begun, 3),
        from_cache=not computed,
        images=len(subject.images),
        shards_total=shards,
        shards_computed=computed,
    )
    return maps, entry


def _seed_figures(maps: Maps, seed: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"seed_protocol": seed_protocol(maps, seed)}
    if figures["seed_protocol"]["probes"]:
        seeds = range(seed, seed + SPLIT_SEEDS)
        figures["seed_accuracies"] = seed_accuracies(maps, seeds)
    return figures


def _calibrated(maps: Maps, subject: Subject, **nulls: int) -> dict[str, Any]:
    options = subject.options
    return calibrated(maps, seed=options.seed, probe=options.probe, device=options.device, **nulls)


def _hits(maps: Maps, subject: Subject) -> dict[str, np.ndarray]:
    labels, options = image_labels(maps), subject.options
    if labels is None:
        return {}
    return out_of_fold_hits(maps, labels, image_groups(maps), options.seed, options.probe, options.device)


def _controls(subject: Subject, maps: Maps, entry: Path, cache: MapsCache, watch: Watch) -> Controls | None:
    """The subject and its random-weight twins on the same ``control_images`` images.

    A twin is made from a config, so only built-in models have any.
    """
    options = subject.options
    if not options.controls or architecture_of(subject.model.model) is None:
        return None
    chosen, ablated = control_images(subject)
    part = maps.take(chosen)
    if part.ablated is None:  # a model whose modes cannot be ablated has twins whose modes need not be
        ablated = np.arange(0)
    banked = banked_twins(subject, chosen, ablated)
    seeds = drawn_seeds(subject.model.sha256, options.seed, options.controls)
    drawn = [] if len(banked) >= options.controls else seeds
    twins = []
    with watch("measuring random-weight twins", len(drawn) + 1) as done:
        own = _control(part, entry, subject, cache)
        done(1)
        for seed in drawn:
            twins.append(measured_twin(subject, seed, chosen, ablated, cache))
            done(1 + len(twins))
    source = "drawn" if drawn else "bank"
    return Controls(own, twins if drawn else banked, image_groups(part), len(chosen), source)


def measured_twin(
    subject: Subject, seed: int, images: np.ndarray, ablated: np.ndarray, cache: MapsCache
) -> Twin:
    """A subject's random-weight twin of a seed on some of the images, measured as the subject is.

    Args:
        images: (M,) which of the subject's. ablated: (A,) positions in these of the ablated ones.
    """
    twin = twin_of(subject, seed, images)
    maps, entry = _maps(twin, ablated, cache, unwatched, {})
    found = _control(maps, entry, subject, cache)
    return Twin(found.figures, found.parts, seed, twin.model.sha256)


def _control(maps: Maps, entry: Path, subject: Subject, cache: MapsCache) -> Measured:
    """The claims' figures of the controls' images, without nulls, and what each image adds to them."""
    options = subject.options
    key = {"measures": MEASURES_VERSION, "seed": options.seed, "probe": options.probe, "images": len(maps)}

    def figures() -> dict[str, Any]:
        tree = _calibrated(maps, subject, n_permutations=1, n_null=1)
        return {claim.name: _kept(look_up(tree, claim.metric)) for claim in CLAIMS}

    found = cache.analysis(entry, {**key, "what": "control figures"}, figures)
    hits = cache.analysis(entry, {**key, "what": "control hits"}, lambda: packed(_hits(maps, subject)))
    return measured(maps, found, unpacked(hits))


def _kept(figure: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if figure is None else {name: figure[name] for name in KEPT}


def _with_twins(figures: dict[str, Any], controls: Controls | None) -> dict[str, Any]:
    """The calibrated figures, those of the claims with the twins' beside them."""
    if controls is None:
        return figures
    for claim in CLAIMS:
        figure, found = look_up(figures, claim.metric), controls.attribution(claim)
        if figure and found.twin:
            figure["twin"] = {**found.twin, "images": controls.images}
    return figures


def _seed_value(claim: Claim, seed: Mapping[str, Any]) -> float | None:
    """What the seed protocol has for the claim's question."""

    def test(probe: str) -> float | None:
        return look_up(seed, "probes." + probe + ".test") if seed.get("probes") else None

    def lift(a: str, b: str) -> float | None:
        return None if test(a) is None or test(b) is None else test(a) - test(b)

    return {
        "spatial_cv": lambda: look_up(seed, "spatial_cv.mean"),
        "class_cosine": lambda: look_up(seed, "class_cosine.min"),
        "release_friction": lambda: lift("release", "friction"),
        "all_eigenvalues": lambda: lift("release+eigenvalues+friction", "eigenvalues"),
    }.get(claim.name, lambda: None)()
