"""A model card's part about a run: a section between two markers, and the hub's ``model-index`` metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from yaml import YAMLError

from ..io.errors import InputError, reason, unknown
from .markdown import summary

BEGIN, END = "<!-- geolip-theorems: begin -->", "<!-- geolip-theorems: end -->"
TASK = "Release fidelity (geolip-theorems)"  # marks the entries of the metadata that are ours
SECTION = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)


def subjects_of(results: Mapping[str, Any], model: str | None) -> list[Mapping[str, Any]]:
    """The subjects of one model: the one named, else the only one of the run.

    Raises:
        InputError: no such model, or several and none named.
    """
    known = list(dict.fromkeys(subject["model"]["name"] for subject in results["subjects"]))
    if model is None and len(known) > 1:
        raise InputError(f"the run has models {', '.join(known)}, and a card is about one; give --model NAME")
    if model is not None and model not in known:
        raise unknown("model of this run", model, known)
    return [subject for subject in results["subjects"] if subject["model"]["name"] in (model or known)]


def updated_card(text: str, subjects: Sequence[Mapping[str, Any]]) -> ModelCard:
    """A model card with a run's section and metadata, in place of those of an earlier run.

    Args:
        text: the card as it is; empty for a new one.
        subjects: of one model, as in ``results.json``.

    Raises:
        InputError: the card's metadata are not what the hub takes.
    """
    try:
        card = ModelCard(text, ignore_metadata_errors=False)
        others = [found for found in card.data.eval_results or [] if found.task_name != TASK]
        card.data.model_name = card.data.model_name or subjects[0]["model"]["name"]
        card.data.eval_results = [*others, *_evaluations(subjects)]
        checked = ModelCardData(**card.data.to_dict())  # the hub's own check, without a network
    except (TypeError, ValueError, AttributeError, YAMLError) as error:
        raise InputError(f"the card's metadata cannot be used: {reason(error)}; correct them there") from None
    section = "\n".join([BEGIN, summary({"subjects": subjects}).strip(), END])
    body = card.text.strip()
    found = SECTION.search(body)
    body = body[: found.start()] + section + body[found.end() :] if found else f"{body}\n\n{section}"
    return ModelCard(f"---\n{checked.to_yaml()}\n---\n\n{body.strip()}\n")


def _evaluations(subjects: Sequence[Mapping[str, Any]]) -> list[EvalResult]:
    """A figure that was measured is an entry, with its claim and verdict in its name."""
    return [
        EvalResult(
            task_type="image-feature-extraction",
            task_name=TASK,
            dataset_type=subject["dataset"]["name"],
            dataset_name=subject["dataset"]["name"],
            metric_type=verdict["metric"],
            metric_name=f"{verdict['title']}: {verdict['verdict']}",
            metric_value=verdict["value"],
        )
        for subject in subjects
        for verdict in subject["verdicts"]
        if verdict["value"] is not None
    ]
