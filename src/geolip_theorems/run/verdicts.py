"""From a subject's figures to the verdict on a claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ..questions import Claim, Study, question_of
from ..results.record import SubjectRecord, Verdict
from ..stats.attribution import Attribution, Beside, beyond_all
from ..stats.decisions import Sample, decide
from ..stats.intervals import holm
from .references import LAST_LAYER, MATCHED
from .settings import Expectation

NO_LABELS = "the images have no labels, and this question compares classes; give a labelled data set"


def verdict_on(
    claim: Claim,
    measurements: Mapping[str, Any],
    study: Study,
    kept: Mapping[str, np.ndarray],
    *,
    attribution: Attribution | None = None,
    references: Sequence[Beside] = (),
    expectation: Expectation | None = None,
    probe: str = "ridge",
) -> Verdict:
    """The verdict on one claim, from the record's measurements and what the images contribute (``kept``).

    Args:
        attribution, references: what random-weight twins and references say.
        probe: of the run, for figures that come from it.
    """
    metric, question = claim.metric, question_of(claim.metric)
    figure, script = metric.of(measurements["calibrated"]) or {}, measurements.get("script")
    labelled = study.labels is not None
    value, ci95, n = figure.get("value"), figure.get("ci95"), int(figure.get("n") or 0)
    method = figure.get("method", "")
    checked = expectation is not None and expectation.images == len(study)
    heading = question.heading if question else ""
    verdict = Verdict(
        theorem=None if heading else 3,
        heading=heading,
        question="" if question is None else question.id,
        claim=claim.name,
        metric=metric.name,
        title=claim.title,
        value=value,
        ci95=ci95,
        method=method,
        threshold=claim.threshold,
        comparison=claim.comparison,
        n=n,
        p=None,
        verdict="not measured",
        reason=method or "there is nothing to measure it on",
        expected=expectation.verdict if checked else None,
        expected_reason=expectation.reason if checked else None,
        unchecked=None if checked or expectation is None else expectation.elsewhere(len(study)),
        unit=metric.unit if metric.unit == "pp" else "",
        script_value=metric.script(script) if metric.script and script else None,
        probe=probe if metric.estimator.cross_validated else None,
    )
    if value is None:
        reason = NO_LABELS if metric.needs_labels and not labelled else verdict.reason
        return replace(verdict, reason=reason, ci95=None)
    p = figure.get("p") if metric.tested else None
    decision = decide(
        value,
        ci95,
        claim.threshold,
        claim.comparison,
        p,
        sample=Sample(n, figure.get("units", _groups(claim, study, kept)), figure.get("reach")),
        needs_p=metric.tested and labelled,
    )
    if ci95 is None and method:
        decision = replace(decision, reason=method)  # which says why there is no interval
    return replace(
        verdict,
        p=p,
        p_claim=None if question and question.on_request else decision.p,  # folded: no t distribution
        verdict=decision.verdict,
        reason=decision.reason,
        reading=figure.get("reading", ""),
        n_to_decide=decision.n_to_decide,
        attributed=attribution.attributed if attribution else None,
        attribution=asdict(attribution) if attribution else None,
        references=[asdict(found) for found in references],
        training=beyond_all(attribution and attribution.attributed, references, (MATCHED, (LAST_LAYER,))),
    )


def adjust(records: Iterable[SubjectRecord]) -> None:
    """Set ``p_holm`` of every verdict of a run: its p adjusted for all that the run judged."""
    judged = [v for record in records for v in record.verdicts if v.p_claim is not None]
    for verdict, p in zip(judged, holm(np.array([v.p_claim for v in judged])), strict=True):
        verdict.p_holm = float(p)


def _groups(claim: Claim, study: Study, kept: Mapping[str, np.ndarray]) -> int | None:
    """Groups of images that a claim's figure rests on, or None where images are independent."""
    if not study.units.grouped:
        return None
    rows = kept.get(claim.metric.rows) if claim.metric.rows else None
    return study.units.count if rows is None else study.units.take(rows).count
