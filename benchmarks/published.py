"""The published claims of several models in one table: every figure with its interval and what it equals.

``make published`` measures the embedded model, an untrained one of its shape, and two small models of other
kinds, which are trained here first; ``make published MODEL=v40_freckles_noise`` checks every published figure
of that version, from the cache or the hub. The table is printed, and written with the readings to ``--out``.

Cost: 80 s of processor time a model of the Freckles shape, and two minutes to train either small one. Weights
are kept in ``reports/published`` and used again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from geolip_theorems.data.noise import FAMILIES, mixed_batch
from geolip_theorems.extraction.extract import extract
from geolip_theorems.model.architectures import (
    AlephConfig,
    AlephModel,
    PatchModel,
    PatchSVAE,
    SVAEConfig,
    architecture_of,
)
from geolip_theorems.model.published import PUBLISHED as VERSIONS
from geolip_theorems.model.sources import random_twin
from geolip_theorems.model.threads import thread_pool
from geolip_theorems.model.writing import save_checkpoint
from geolip_theorems.questions import Study, questions
from geolip_theorems.questions.base import look_up
from geolip_theorems.questions.published.evidence import FEW, PASS_TWINS, twin_seeds
from geolip_theorems.questions.published.free import PATCHES_ALONE
from geolip_theorems.questions.published.judging import judged
from geolip_theorems.questions.published.margins import CHANGE
from geolip_theorems.questions.published.passes import SIZES, WHITE, family_images, passes_of
from geolip_theorems.questions.published.passes import TRAINED as PIXELS
from geolip_theorems.questions.published.tables import read_figures
from geolip_theorems.questions.published.values import published
from geolip_theorems.run.options import RunOptions
from geolip_theorems.run.subject import Subject, open_subject
from geolip_theorems.script import script_protocol
from geolip_theorems.script.protocol import MAX_MAPS
from geolip_theorems.stats.figure import figure
from geolip_theorems.stats.intervals import mean_figure

FOLDER = Path("reports/published")
SMALL = {"V": 32, "D": 4, "patch_size": 4, "hidden": 64, "depth": 1, "n_cross_layers": 1}
STEPS, BATCH, SIZE, RATE = 1000, 32, 32, 3e-3
TRAINED = {
    "sphere_solver_small": (PatchSVAE, SVAEConfig(**SMALL, linear_readout=True, svd_mode="none", n_heads=4)),
    "aleph_small": (AlephModel, AlephConfig(**SMALL, K=64, n_heads=4)),
}
SCRIPT = ("spatial_cv.mean", "spatial_cv.median", "spatial_cv.min", "spatial_cv.max")
SCRIPT += ("probes.friction.test", "probes.eigenvalues.test")
DEFAULT = ("random:freckles_embedded", "freckles_embedded", *TRAINED)


def train(kind: type[PatchModel], config: Any, path: Path) -> None:
    """Fit a small model to the sixteen noise families by Adam with a cosine schedule, and keep it."""
    torch.manual_seed(0)
    model, generator = kind(config), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    begun = time.monotonic()
    for step in range(STEPS):
        images = mixed_batch(FAMILIES, BATCH, SIZE, generator)
        loss = F.mse_loss(model(images)["recon"], images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            print(
                f"{path.stem}: step {step} of {STEPS}, loss {loss:.4g}, {time.monotonic() - begun:.0f} s",
                flush=True,
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(
        path, model, epoch=STEPS, test_mse=loss.item(), config={"dataset": "noise", "img_size": 64}
    )


def weights(name: str) -> str:
    """What ``--model`` takes for a name; a small model is trained where its weights are not there yet."""
    if name not in TRAINED:
        return name
    path = FOLDER / f"{name}.pt"
    if not path.exists():
        train(*TRAINED[name], path)
    return str(path)


def at_size(subject: Subject, size: int) -> dict[str, Any]:
    """The change of the error at a size too large for the suite: seconds per image and network."""
    model = subject.model.model
    images = family_images(WHITE, size, 0, getattr(model, "channels", 3))

    def change(one: torch.nn.Module, few: int) -> np.ndarray:
        return passes_of(one, images, (SIZES[0], PIXELS, size), few).change(size)

    seeds = twin_seeds(subject.model.sha256, 0)[:PASS_TWINS] if architecture_of(model) else []
    models = [model, *(random_twin(model.config, seed) for seed in seeds)]
    with thread_pool(torch.get_num_threads()) as pool:
        own, *twins = pool.map(change, models, (len(images), *[FEW] * len(seeds)))
    title = f"relative change of the error at {size} pixels"
    means = [float(twin.mean()) for twin in twins]
    return judged(title, mean_figure(own), means, margin=CHANGE, free=PATCHES_ALONE)


def figures_of(
    model: str, dataset: str | None, images: int | None, largest: int
) -> dict[str, dict[str, Any]]:
    """Every figure of every published claim with references, by claim, figure and what it was measured on.

    Without a ``dataset`` a published version is shown CIFAR-10 (the digits where it cannot be had), as many
    images as the release script read, and any other model 400 crops of photographs.
    """
    usual, many = ("auto", MAX_MAPS) if model in VERSIONS else ("photos", 400)
    options = RunOptions(max_images=images or many)
    subject = open_subject(weights(model), dataset or usual, options)
    print(f"{model}: {subject.images.substitute_for or subject.images.name}", flush=True)
    maps = extract(subject.model.model, subject.images, ablated=np.arange(0))
    study = Study(maps, model=subject.model, images=subject.images)
    found: dict[str, dict[str, Any]] = {}
    for question in questions():
        if question.on_request:
            ((_, figures),) = question.measure(study).figures.items()
            for on, one in read_figures(figures):
                found[" · ".join(filter(None, (question.id, one["title"], on)))] = one
            if question.id == "resolution" and largest > SIZES[-1]:
                one = at_size(subject, largest)
                found[f"resolution · {one['title']}"] = one
    return found | dict(script_figures(study))


def script_figures(study: Study) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the release script printed of this version on these images, beside what it gives here."""
    said = {path: published(study.model.name, path, "images", study.images.name) for path in SCRIPT}
    script = script_protocol(study.maps, study.seed) if any(said.values()) else {}
    for path, value in said.items():
        if value and (own := look_up(script, path)) is not None:
            exact = figure(own, (own, own), len(study), "the script's protocol")
            yield f"script · {path}", judged(path, exact, said=value)


def table(models: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """A row per figure, a column per model: the figure, its interval and its class."""
    yield f"| figure | {' | '.join(models)} |"
    yield "|---" * (1 + len(models)) + "|"
    for name in dict.fromkeys(name for found in models.values() for name in found):
        yield f"| {name} | {' | '.join(cell(found.get(name)) for found in models.values())} |"


def cell(found: dict[str, Any] | None) -> str:
    """``0.913 [0.908, 0.918] free``; a figure that is apart from its published value is marked."""
    if found is None or found["value"] is None:
        return "–"
    ends = "" if found["ci95"] is None else " [{:.4g}, {:.4g}]".format(*found["ci95"])
    marked = " **contradicted**" if found.get("contradicted") else ""
    return f"{found['value']:.4g}{ends} {found['class']}{marked}".rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=list(DEFAULT), help="default: %(default)s")
    parser.add_argument("--dataset", help="default: photos; of a published version cifar10 or the digits")
    parser.add_argument("--images", type=int, help="maps of so many (default 400; of a version 2,000)")
    parser.add_argument(
        "--largest", type=int, default=512, help="pixels; 0: as the suite (default %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=FOLDER / "table.md")
    options = parser.parse_args()
    models = {}
    for model in options.model:
        begun = time.monotonic()
        models[model] = figures_of(model, options.dataset, options.images, options.largest)
        print(f"{model}: {time.monotonic() - begun:.0f} s", flush=True)
    lines = list(table(models))
    for model, found in models.items():
        lines += [
            "",
            f"**{model}**",
            "",
            *(f"* {one['reading']}" for one in found.values() if one.get("reading")),
        ]
    print("\n".join(lines))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
