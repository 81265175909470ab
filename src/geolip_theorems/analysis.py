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

from .claims import CLAIMS, Claim
from .expectations import Expectation
from .extraction import Extraction, Maps
from .extraction.cache import MapsCache
from .extraction.engines import spread
from .extraction.gallery import gallery_arrays
from .measures import MEASURES_VERSION, calibrated, seed_accuracies, seed_protocol
from .measures.arrays import image_groups, image_labels
from .measures.attribution import Attribution, attribution, contributions, inflation_of
from .measures.decisions import decide
from .measures.per_image import packed, per_image_arrays, unpacked
from .measures.probes import out_of_fold_hits
from .model.architectures import architecture_of
from .model.sources import random_twin, weights_sha256
from .notes import subject_notes
from .record import SubjectRecord, Verdict
from .subject import Subject

SPLIT_SEEDS = 10
FIRST_TWIN_SEED = 1001  # away from the seeds people choose for `random:`
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
    controls = _controls(subject, maps, entry, cache, watch, fair)
    timings["controls_s"] = round(time.monotonic() - begun, 3)
    record = SubjectRecord(
        id=subject.id,
        model=subject.describe_model(),
        dataset=subject.describe_dataset(),
        seed=options.seed,
        device=options.device,
        protocol=subject.describe_protocol(),
        measurements={**seed, "calibrated": _with_twins(figures, controls), "controls": _summary(controls)},
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
            _attribution(claim, controls),
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


def _calibrated(maps: Maps, subject: Subject) -> dict[str, Any]:
    options = subject.options
    return calibrated(maps, seed=options.seed, probe=options.probe, device=options.device)


def _hits(maps: Maps, subject: Subject) -> dict[str, np.ndarray]:
    labels, options = image_labels(maps), subject.options
    if labels is None:
        return {}
    return out_of_fold_hits(maps, labels, image_groups(maps), options.seed, options.probe, options.device)


@dataclass(frozen=True)
class Controls:
    """The calibrated figures of the subject and of its twins, on the same images.

    Attributes:
        subject, twins: calibrated figures. own, others: what single images add to the claims' figures, see
            :func:`contributions`. groups: of the images, or None.
    """

    subject: dict[str, Any]
    twins: list[dict[str, Any]]
    own: dict[str, np.ndarray]
    others: list[dict[str, np.ndarray]]
    groups: np.ndarray | None
    images: int
    seeds: list[int]


def _controls(
    subject: Subject, maps: Maps, entry: Path, cache: MapsCache, watch: Watch, key: Mapping[str, Any]
) -> Controls | None:
    """The subject and its random-weight twins on the same ``control_images`` images.

    A twin is made from a config, so only built-in models have any.
    """
    options = subject.options
    if not options.controls or architecture_of(subject.model.model) is None:
        return None
    chosen = np.sort(subject.images.spread_order()[: options.control_images])
    part, count = maps.take(chosen), len(chosen)
    # A model whose modes cannot be ablated has twins whose modes need not be.
    ablated = np.arange(0) if part.ablated is None else part.ablated
    short = {**key, "what": "control", "images": count}
    seeds = list(range(FIRST_TWIN_SEED, FIRST_TWIN_SEED + options.controls))
    with watch("measuring random-weight twins", options.controls + 1) as done:
        measured = [_control(part, entry, subject, cache, short)]
        done(1)
        for seed in seeds:
            twin = twin_of(subject, seed, chosen)
            twin_maps, twin_entry = _maps(twin, ablated, cache, unwatched, {})
            measured.append(_control(twin_maps, twin_entry, subject, cache, short))
            done(len(measured))
    figures, parts = zip(*measured, strict=True)
    return Controls(
        figures[0], list(figures[1:]), parts[0], list(parts[1:]), image_groups(part), count, seeds
    )


def _control(
    maps: Maps, entry: Path, subject: Subject, cache: MapsCache, key: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Calibrated figures of the controls' images, and what each image adds to the claims'."""
    figures = cache.analysis(entry, key, lambda: _calibrated(maps, subject))
    hits = unpacked(
        cache.analysis(entry, {**key, "what": "control hits"}, lambda: packed(_hits(maps, subject)))
    )
    return figures, contributions(per_image_arrays(maps, hits))


def twin_of(subject: Subject, seed: int, images: np.ndarray) -> Subject:
    """A subject of the same shape with fresh weights from a seed, on some of the images, (M,) indices."""
    model = random_twin(subject.model.model.config, seed).to(subject.options.device)
    loaded = replace(subject.model, model=model, name=f"twin-{seed}", sha256=weights_sha256(model))
    return replace(subject, model=loaded, images=subject.images.take(images))


def _attribution(claim: Claim, controls: Controls | None) -> Attribution | None:
    if controls is None:
        return None
    own = look_up(controls.subject, claim.metric) or {}
    twins = [look_up(twin, claim.metric) or {} for twin in controls.twins]
    return attribution(
        own,
        twins,
        claim.comparison,
        own=controls.own.get(claim.metric),
        others=[parts[claim.metric] for parts in controls.others if claim.metric in parts],
        groups=controls.groups,
        inflation=inflation_of(claim.metric),
    )


def _with_twins(figures: dict[str, Any], controls: Controls | None) -> dict[str, Any]:
    """The calibrated figures, those of the claims with the twins' beside them."""
    if controls is None:
        return figures
    for claim in CLAIMS:
        figure, found = look_up(figures, claim.metric), _attribution(claim, controls)
        if figure and found and found.twin:
            figure["twin"] = {**found.twin, "images": controls.images}
    return figures


def _summary(controls: Controls | None) -> dict[str, Any] | None:
    """Each claim's figure of the subject and of every twin on the controls' images."""
    if controls is None:
        return None

    def figures(tree: dict[str, Any]) -> dict[str, Any]:
        return {claim.name: look_up(tree, claim.metric) for claim in CLAIMS}

    return {
        "images": controls.images,
        "subject": figures(controls.subject),
        "twins": [
            {"seed": seed, **figures(twin)} for seed, twin in zip(controls.seeds, controls.twins, strict=True)
        ],
    }


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
