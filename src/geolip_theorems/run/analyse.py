"""From a subject to its record: maps, measures, controls, verdicts, cached under all they depend on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..extraction.cache import MapsCache, Reading
from ..extraction.engines import spread
from ..extraction.extract import Extraction
from ..extraction.maps import Maps
from ..io.errors import InputError
from ..model.threads import meanwhile
from ..probes.signals import SIGNALS
from ..questions import MEASURES_VERSION, Claim, Measured, Question, Study, claims, questions, requested
from ..results.companion import PER_IMAGE
from ..results.record import SubjectRecord, Verdict
from ..script import script_accuracies, script_protocol
from ..stats.grids import raw_mean
from .bank import banked
from .controls import Controls, Member, Referred, Twin, chosen_images, drawn_seeds, has_twins, twin_of
from .gallery import gallery_arrays
from .notes import subject_notes
from .references import REFERENCES, Reference, reference_subject
from .settings import Expectation
from .subject import Subject, positions_sha256
from .verdicts import verdict_on

SPLIT_SEEDS = 10

# Called with (what is being done, steps in all); gives a function that is told the steps done.
Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def unwatched(label: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """A watch that shows nothing."""
    return nullcontext(lambda done: None)


@dataclass(frozen=True)
class Analysis:
    """A subject's maps and what was measured on them; ``kept``: what single images contribute, by name."""

    maps: Maps
    record: SubjectRecord
    subject: Subject
    kept: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def companion(self) -> dict[str, np.ndarray]:
        """The arrays kept beside the record, see :mod:`geolip_theorems.results.companion`."""
        own = {PER_IMAGE + name: array for name, array in self.kept.items()}
        return {**own, **gallery_arrays(self.subject, self.maps)}


def analyse(
    subject: Subject,
    cache: MapsCache,
    *,
    asked: tuple[Claim, ...] | None = None,
    expectations: Iterable[Expectation] = (),
    watch: Watch = unwatched,
    tell: Callable[[list[Verdict]], None] = lambda verdicts: None,
) -> Analysis:
    """Measure a subject and give the verdicts.

    Args:
        asked: the claims to judge, with their thresholds; by default the questions' own. Where all of them
            belong to questions on request, nothing else is measured.
        expectations: verdicts expected not to hold.
        watch: shows progress.
        tell: called, where the maps are new, with the verdicts of each quick question as soon as it is
            measured; of probes and twins they do not know yet.

    Raises:
        InputError: the model's output is unusable, or the cache cannot be written.
    """
    asked = claims() if asked is None else asked
    standing = tuple(claim for claim in asked if not requested([claim]))
    whole = bool(standing) or not asked
    work = _Work(subject, cache, watch)
    read = work.maps(subject, subject.ablated())
    maps = read.maps
    here = (subject.model.name, subject.images.name)
    fitting = sorted(expectations, key=lambda e: e.images == len(subject.images))  # the last one counts
    known = {e.claim: e for e in fitting if (e.model, e.dataset) == here}
    study, found = Study(maps), Measured({}, {})

    def judged(claim: Claim, measurements: Mapping[str, Any], **beside: Any) -> Verdict:
        expected, probe = known.get(claim.name), subject.options.probe
        return verdict_on(
            claim, measurements, study, found.values, expectation=expected, probe=probe, **beside
        )

    begun = time.monotonic()
    parts = work.parts(maps, read, whole, requested(asked))
    script = compare = None
    with meanwhile() as pool:
        if whole:
            compare = work.controls(read, standing, pool.submit)
            script = pool.submit(work.script, read)
        with watch("measuring", len(parts) + 1) as done:
            for number, (question, part) in enumerate(parts.items(), 1):
                new = part()
                found = _joined([found, new])
                done(number)
                if read.computed and not _slow(question) and _slow([*parts][-1]):
                    figures = {"calibrated": new.figures}
                    tell([judged(claim, figures) for claim in asked if claim.metric.of(new.figures)])
            original = script.result() if script else {"script": {}}
            done(len(parts) + 1)
        work.timings["measures_s"] = round(time.monotonic() - begun, 3)
        begun = time.monotonic()
        controls = compare and compare()
    work.timings["controls_s"] = round(time.monotonic() - begun, 3)
    attributions = dict.fromkeys(claim.name for claim in asked)
    attributions |= {claim.name: controls.attribution(claim) for claim in standing if controls}
    record = subject.record(
        measurements={
            **original,
            "calibrated": _with_twins(found.figures, asked, attributions, controls),
            "controls": None if controls is None else controls.summary(standing),
        },
        timings=work.timings,
        notes=subject_notes(
            subject.model.model, maps, subject.images, twins=not controls or controls.source != "none"
        ),
    )
    record.verdicts = [
        judged(
            claim,
            record.measurements,
            attribution=attributions[claim.name],
            references=controls.beside(claim) if controls and claim in standing else [],
        )
        for claim in asked
    ]
    return Analysis(maps, record, subject, {**study.shared(), **found.values})


class _Work:
    """The stages of one analysis: what each reads, and where it is kept."""

    def __init__(self, subject: Subject, cache: MapsCache, watch: Watch) -> None:
        self.subject, self.cache, self.watch = subject, cache, watch
        self.timings: dict[str, Any] = {}

    def maps(self, subject: Subject, ablated: np.ndarray, timed: bool = True) -> Reading:
        """A subject's maps, from the cache."""
        begun, options = time.monotonic(), subject.options
        watch = self.watch if timed else unwatched
        extraction = Extraction(
            subject.model.model,
            subject.images,
            device=options.device,
            ablated=ablated,
            batch=options.batch_size,
            watch=lambda: watch(f"extracting {subject.id}", len(subject.images)),
            say=self.cache.say,
        )
        source = spread(extraction, options.workers, options.engine, options.ray_address)
        about = {"model": subject.model.name, "dataset": subject.images.name}
        found = self.cache.maps(subject.maps_key(ablated), source, about)
        if timed:
            self.timings.update(
                extraction_s=round(time.monotonic() - begun, 3),
                from_cache=not found.computed,
                images=len(subject.images),
                shards_total=found.shards,
                shards_computed=found.computed,
            )
        return found

    def script(self, read: Reading) -> dict[str, Any]:
        """The script's protocol on a subject's maps."""
        seed, maps = self.subject.options.seed, read.maps

        def compute() -> tuple[dict[str, Any], dict]:
            figures: dict[str, Any] = {"script": script_protocol(maps, seed)}
            if figures["script"]["probes"]:
                figures["script_accuracies"] = script_accuracies(maps, range(seed, seed + SPLIT_SEEDS))
            return figures, {}

        key = {"measures": MEASURES_VERSION, "seed": seed, "what": "script"}
        return self.cache.analysis(read, key, compute)[0]

    def parts(
        self, maps: Maps, read: Reading, standing: bool = True, on_request: Set[str] = frozenset(), **few: Any
    ) -> dict[Question, Callable[[], Measured]]:
        """Each question's measure, each kept by itself; slow ones last.

        ``standing``: the questions of every run are asked. ``on_request``: ids of the others that are.
        ``few``: what is not needed, see :class:`Study`.
        """
        subject, options = self.subject, self.subject.options
        study = Study(maps, options.seed, probe=options.probe, device=options.device, **few)
        if on_request:
            study = replace(study, model=subject.model, images=subject.images)
        key = {"measures": MEASURES_VERSION, "seed": options.seed, "probe": options.probe, **few}
        key |= {name: sorted(value) for name, value in few.items() if isinstance(value, Set)}
        # Of signals there may be more than in the last run.
        key |= {"images": len(maps), "signals": list(SIGNALS)}
        # The controls' part of the maps has fewer ablated images than the maps.
        key["ablated"] = None if maps.ablated is None else positions_sha256(maps.ablated)

        def measure(question: Question) -> Measured:
            def compute() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
                found = question.measure(study)
                return found.figures, found.values

            kept = {**key, "question": question.id, **dict(question.key)}
            return Measured(*(self.cache.analysis(read, kept, compute) if question.cached else compute()))

        asked = (q for q in questions() if (q.id in on_request if q.on_request else standing))
        chosen = (q for q in asked if q.measure)
        return {question: partial(measure, question) for question in sorted(chosen, key=_slow)}

    def controls(
        self, read: Reading, asked: tuple[Claim, ...], begin: Callable[..., Future]
    ) -> Callable[[], Controls] | None:
        """The subject and its random-weight twins, measured on the same ``control_images`` images.

        ``begin`` calls a function meanwhile; what needs no twin to be drawn is done so. What is returned
        draws the twins and waits for all; None where no controls are asked for.
        """
        subject, options = self.subject, self.subject.options
        if not options.controls:
            return None
        chosen, ablated = chosen_images(subject)
        part = read.maps.take(chosen, ablated)
        if part.ablated is None:  # a model whose modes cannot be ablated has twins whose modes need not be
            ablated = np.arange(0)
        bank = banked(subject, chosen, ablated, asked) if has_twins(subject) else None
        if bank and len(bank.twins) < options.controls:
            bank = None
        seeds = drawn_seeds(subject.model.sha256, options.seed, options.controls)
        drawn = seeds if has_twins(subject) and bank is None else []
        known = {one.name: one for one in bank.references} if bank else {}
        mse = float(raw_mean(part.error).mean())
        own = begin(self.control, part, read, asked)
        others = {
            one.name: begin(self.reference, one, chosen, ablated, asked, mse, seeds[0])
            for one in REFERENCES
            if one.name not in known
        }

        def finish() -> Controls:
            twins = [*bank.twins] if bank else []
            label = "measuring random-weight twins" if drawn else "measuring references"
            with self.watch(label, len(drawn) + 1) as done:
                for number, seed in enumerate(drawn, 1):
                    twins.append(self.twin(seed, chosen, ablated, asked))
                    done(number)
                found = known | {name: other.result() for name, other in others.items()}
                done(len(drawn) + 1)
            source = "drawn" if drawn else "bank" if bank else "none"
            references = [found[one.name] for one in REFERENCES]
            return Controls(own.result(), twins, references, Study(part).units, source)

        return finish

    def reference(
        self,
        which: Reference,
        images: np.ndarray,
        ablated: np.ndarray,
        asked: tuple[Claim, ...],
        mse: float,
        seed: int,
    ) -> Referred:
        """A reference on some of the images, see :func:`reference_subject`."""
        try:
            other = reference_subject(which, self.subject, images, mse, seed)
        except InputError as error:
            return Referred({}, {}, which.name, which.about, missing=str(error))
        return Referred(**vars(self.other(other, ablated, asked)), name=which.name, about=which.about)

    def control(self, maps: Maps, read: Reading, asked: tuple[Claim, ...]) -> Member:
        """What the claims need of the controls' images; nulls play no part in it and are not drawn."""
        arrays = frozenset(name for claim in asked for name in claim.metric.reads)
        parts = self.parts(maps, read, n_permutations=1, n_null=1, arrays=arrays)
        return Member.of(_joined(part() for part in parts.values()), asked, len(maps))

    def twin(self, seed: int, images: np.ndarray, ablated: np.ndarray, asked: tuple[Claim, ...]) -> Twin:
        """The subject's random-weight twin of a seed on some of the images, see :func:`chosen_images`."""
        twin = twin_of(self.subject, seed, images)
        return Twin(**vars(self.other(twin, ablated, asked)), seed=seed, sha256=twin.model.sha256)

    def other(self, subject: Subject, ablated: np.ndarray, asked: tuple[Claim, ...]) -> Member:
        """Another model on the controls' images, its maps from the cache."""
        read = self.maps(subject, ablated, timed=False)
        return self.control(read.maps, read, asked)


def measured_twins(
    subject: Subject, seeds: Iterable[int], cache: MapsCache, asked: tuple[Claim, ...] | None = None
) -> Iterator[Twin]:
    """A subject's random-weight twins of some seeds on its controls' images, one after the other."""
    work = _Work(subject, cache, unwatched)
    images, ablated = chosen_images(subject)
    for seed in seeds:
        yield work.twin(seed, images, ablated, claims() if asked is None else asked)


def measured_references(subject: Subject, seed: int, cache: MapsCache) -> list[Referred]:
    """The references that depend on the subject's shape alone, on its controls' images."""
    work, asked = _Work(subject, cache, unwatched), (*chosen_images(subject), claims(), 0.0, seed)
    return [work.reference(one, *asked) for one in REFERENCES if one.of_shape]


def _slow(question: Question) -> bool:
    """Whether it fits probes, which takes as long as everything else."""
    return any(metric.estimator.cross_validated for metric in question.metrics)


def _joined(parts: Iterable[Measured]) -> Measured:
    whole = Measured({}, {})
    for part in parts:
        whole = Measured(whole.figures | part.figures, whole.values | part.values)
    return whole


def _with_twins(
    figures: dict[str, Any],
    asked: Iterable[Claim],
    attributions: Mapping[str, Any],
    controls: Controls | None,
) -> dict[str, Any]:
    """The calibrated figures, those of the claims with the twins' beside them."""
    for claim in asked:
        figure, found = claim.metric.of(figures), attributions[claim.name]
        if controls and figure and found and found.twin:
            figure["twin"] = {**found.twin, "images": len(controls.units)}
    return figures
