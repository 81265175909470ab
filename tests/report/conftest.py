"""A small run with companions: names that attack, an unlabelled subject, one that could not be measured."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from geolip_theorems import load_model
from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.report.html.write import write_report
from geolip_theorems.results import companion
from geolip_theorems.results.environment import environment
from geolip_theorems.results.record import Results, SubjectRecord, write_results
from geolip_theorems.run.analyse import analyse
from geolip_theorems.run.settings import Expectation
from geolip_theorems.run.subject import RunOptions, live_subject

GOLDEN = Path(__file__).parents[1] / "data" / "svae_d4.pt"
ATTACK = "<script>window.attacked=1</script>"
CLASSES = (ATTACK, '"><img src=x onerror="window.attacked=1">', "$x_{$ 猫 and a name that is long")
IMAGES = 60


@dataclass
class Run:
    """A results file, its report, and what both hold."""

    results: Path
    report: Path

    @property
    def html(self) -> str:
        return self.report.read_text(encoding="utf-8")

    @property
    def record(self) -> dict:
        return json.loads(self.results.read_text())

    def changed(self, folder: Path, change) -> str:
        """The page of a changed record in another folder, with the same companions."""
        record = self.record
        for subject in record["subjects"]:
            if subject["companion"]:
                source = self.results.parent / subject["companion"]["file"]
                (folder / source.name).write_bytes(source.read_bytes())
        change(record)
        (folder / "results.json").write_text(json.dumps(record))
        return write_report(folder / "results.json", folder / "report.html").read_text(encoding="utf-8")


def pictures() -> np.ndarray:
    """(60, 16, 16, 3) uint8: noise whose grain depends on the class."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, (IMAGES, 16, 16, 3))
    coarse = np.kron(rng.integers(0, 256, (IMAGES, 4, 4, 3)), np.ones((1, 4, 4, 1), int))
    share = (np.arange(IMAGES) % 3 / 2)[:, None, None, None]
    return np.round(share * fine + (1 - share) * coarse).astype(np.uint8)


def measured(folder: Path, name: str, labels=None, pixels=None, **options) -> SubjectRecord:
    """The record of a subject whose companion lies in the folder."""
    pixels = pictures() if pixels is None else pixels
    model, _ = load_model(str(GOLDEN))
    classes = CLASSES if labels is not None else None
    images = from_arrays(pixels, labels, classes, name=f"images of {name}")
    subject = live_subject(model, images, RunOptions(**options), name)
    known = [Expectation(name, images.name, IMAGES, "gradient", "fails", "noise has <b>no</b> edges")]
    found = analyse(subject, MapsCache(folder / "cache"), expectations=known)
    found.record.companion = companion.write(folder / companion.file_name(found.record.id), found.companion)
    return found.record


@pytest.fixture(scope="session")
def labelled(tmp_path_factory) -> Run:
    """One subject with three classes and twins."""
    folder = tmp_path_factory.mktemp("labelled")
    record = measured(folder, "tiny", np.arange(IMAGES) % 3, controls=3, ablation_images=20)
    record.model["substitute_for"] = f"another: it is {ATTACK}"
    return finished(folder, [record])


@pytest.fixture(scope="session")
def several(labelled, tmp_path_factory) -> Run:
    """The same, an unlabelled subject without ablations, and one with an error."""
    folder = tmp_path_factory.mktemp("several")
    first = SubjectRecord(**labelled.record["subjects"][0])
    source = labelled.results.parent / first.companion["file"]
    (folder / source.name).write_bytes(source.read_bytes())
    second = measured(folder, "plain", controls=0, ablation_images=0)
    third = SubjectRecord(**{**second.__dict__, "id": "broken", "verdicts": [], "measurements": {}})
    third.companion, third.error = None, f"the model's recon is not finite {ATTACK}"
    return finished(folder, [first, second, third])


def finished(folder: Path, records: list[SubjectRecord]) -> Run:
    """A run of these records with its report."""
    command = ["pytest", "theorems/", "--model", ATTACK]
    results = Results(records, command, environment(), "2026-01-01T00:00:00+00:00")
    write_results(results, folder / "results.json")
    return Run(folder / "results.json", write_report(folder / "results.json", folder / "report.html"))
