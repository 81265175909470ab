"""Models whose signals are missing, or are not what they are of the built-in one."""

import io
import json
import re
from dataclasses import asdict

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from geolip_theorems import measure
from geolip_theorems.conduit.api import conduit_from_svd
from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.extraction.extract import Extraction, extract
from geolip_theorems.io.errors import InputError
from geolip_theorems.report.html.write import write_report
from geolip_theorems.report.markdown import summary
from geolip_theorems.report.terminal import render
from geolip_theorems.results import companion
from geolip_theorems.results.environment import environment
from geolip_theorems.results.record import Results, finite, now, write_results
from geolip_theorems.run.analyse import analyse
from geolip_theorems.run.notes import OF_FRICTION, UNREACHED
from geolip_theorems.run.subject import RunOptions, live_subject
from tests.record.test_schema import SCHEMA
from tests.signals import ConvAutoencoder, MatrixOfPixels

IMAGES = 48
LABELS = np.arange(IMAGES) % 3
SIGNALS = {"S", "friction", "settle", "error_only", "error_without"}
NEED_A_SIGNAL = ("mode_share", "release_friction", "all_eigenvalues")
MODELS = {
    "conv": ConvAutoencoder,
    "conv in a dict": lambda: ConvAutoencoder(dictionary=True),
    "24 modes": lambda: MatrixOfPixels(24),
    "16 modes": lambda: MatrixOfPixels(16),
    "column norms": lambda: MatrixOfPixels(4, norms=True),
    "column norms, 24": lambda: MatrixOfPixels(24, norms=True),
    "no Vt": lambda: MatrixOfPixels(4, keys=("U", "S")),
    "4 modes": lambda: MatrixOfPixels(4),
}
# What is missing, which claims are not measured for it, and words of the reason.
MISSING = {
    "conv": (SIGNALS, NEED_A_SIGNAL, "no svd"),
    "conv in a dict": (SIGNALS, NEED_A_SIGNAL, "no svd"),
    "24 modes": ({"friction", "settle"}, NEED_A_SIGNAL[1:], "24 modes; the conduit takes 2 to 16"),
    "column norms, 24": ({"friction", "settle"}, NEED_A_SIGNAL[1:], "24 modes; the conduit takes 2 to 16"),
    "no Vt": (SIGNALS - {"S"}, NEED_A_SIGNAL, "no Vt|does not take modes apart"),
}
NOTES = {
    "conv": [(["q3", "q4", "q5", "q6"], "no svd")],
    "24 modes": [(["q4", "q5", "q6"], "24 modes")],
    "16 modes": [(["q4", "q5"], UNREACHED)],
    "column norms": [(["q3", "q4", "q5"], OF_FRICTION)],
    "column norms, 24": [
        (["q3", "q4", "q5"], "norms of a matrix's columns"),
        (["q4", "q5", "q6"], "24 modes"),
    ],
    "no Vt": [(["q4", "q5", "q6"], "no Vt")],
    "4 modes": [],
}


def pixels():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (IMAGES, 16, 16, 3))
    noise[LABELS == 1, :8] //= 4
    return noise.astype(np.uint8)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Each model's record and its companion's arrays, measured when first asked for."""
    made = {}

    def run(name):
        if name not in made:
            images = from_arrays(pixels(), LABELS, name="noise")
            options = RunOptions(ablation_images=8, controls=0)
            subject = live_subject(MODELS[name](), images, options, name)
            found = analyse(subject, MapsCache(tmp_path_factory.mktemp("cache")))
            made[name] = found.record, found.companion
        return made[name]

    return run


def as_results(record):
    return Results([record], ["notebook"], environment(), now()).to_dict()


@pytest.mark.parametrize("name", MISSING)
def test_what_needs_a_missing_signal_is_not_measured_and_says_why(runs, name):
    _, claims, words = MISSING[name]
    verdicts = {v.claim: v for v in runs(name)[0].verdicts}
    assert {c for c, v in verdicts.items() if v.verdict == "not measured"} == set(claims)
    for claim in claims:
        assert re.search(words, verdicts[claim].reason), verdicts[claim].reason
    assert all(v.value is not None for c, v in verdicts.items() if c not in claims)


def test_a_model_with_every_signal_lacks_no_verdict(runs):
    record, arrays = runs("4 modes")
    assert record.notes == []
    assert "not measured" not in {v.verdict for v in record.verdicts}
    assert {"gallery/friction", "picture/friction", "picture/settle", "picture/cost"} <= set(arrays)


@pytest.mark.parametrize("name", MODELS)
def test_records_meet_the_schema(runs, name):
    record = json.loads(json.dumps(as_results(runs(name)[0])))
    faults = jsonschema.Draft202012Validator(SCHEMA).iter_errors(record)
    assert [f"{fault.json_path}: {fault.message}" for fault in faults] == []


def test_what_is_left_is_measured_as_ever(runs):
    """The same model with and without its svd: what does not need it is the same to the last bit."""
    images = from_arrays(pixels(), LABELS, name="noise")
    bare = measure(MatrixOfPixels(4, keys=()), images, ablation_images=8).measurements
    whole = runs("4 modes")[0].measurements
    for part in ("error", "spatial_cv", "class_cosine", "boundaries"):
        assert bare["calibrated"][part] == whole["calibrated"][part]
    for part, name in (("probes", "release"), ("probes", "patch_means"), ("lifts", "balanced-chance")):
        assert bare["calibrated"][part][name] == whole["calibrated"][part][name]
    script, wanted = bare["script"], whole["script"]
    assert list(script) == list(wanted)
    assert list(script["probes"]) == list(wanted["probes"])
    assert {name for name, probe in script["probes"].items() if probe} == {"release"}
    assert script["probes"]["release"] == wanted["probes"]["release"]
    splits = [found["script_accuracies"]["release"]["test"] for found in (bare, whole)]
    assert splits[0] == pytest.approx(splits[1])
    assert script["mode_energy"] is None
    assert script["full_mse"] == wanted["full_mse"]


@pytest.mark.parametrize("name", MISSING)
def test_reasons_are_read_back_from_the_cache(tmp_path, name):
    absent, _, _ = MISSING[name]
    images = from_arrays(pixels(), LABELS, name="noise")
    cache, key = MapsCache(tmp_path), {"of": name}
    extraction = Extraction(MODELS[name](), images, ablated=np.arange(8))
    first, again = cache.maps(key, extraction), cache.maps(key, extraction)
    assert (first.computed, again.computed) == (1, 0)
    for maps in (first.maps, again.maps, again.maps.take(np.arange(5)), extract(MODELS[name](), images)):
        assert set(maps.absent) == absent
        assert {name for name in SIGNALS if getattr(maps, name) is None} == absent
        assert maps.absent == first.maps.absent
    for name, array in first.maps.arrays().items():
        np.testing.assert_array_equal(array, getattr(again.maps, name))


@pytest.mark.parametrize("name", NOTES)
def test_notes_stand_beside_their_questions(runs, name, tmp_path):
    record, arrays = runs(name)
    assert [note["questions"] for note in record.notes] == [questions for questions, _ in NOTES[name]]
    for note, (_, words) in zip(record.notes, NOTES[name], strict=True):
        assert words in note["text"]
    terminal = Console(file=io.StringIO(), width=4000)
    render([finite(asdict(record))], terminal)
    lines = {f"{', '.join(note['questions'])}: {note['text']}" for note in record.notes}
    for text in (terminal.file.getvalue(), summary(as_results(record))):
        assert all(line in text for line in lines)
        assert ("note, " in text or "> q" in text) == bool(lines)
    page = report(record, arrays, tmp_path)
    for note in record.notes:
        sections = {"q4" if q == "q5" else q for q in note["questions"]}
        for section in ("q1", "q2", "q3", "q4", "q6"):
            within = page.split(f'<section id="{section}"')[1].split("</section>")[0]
            plain = within.replace("&#39;", "'")
            assert (note["text"] in plain) == (section in sections), section


def test_a_note_on_all_questions_is_said_once(tmp_path):
    """Pictures with an alpha channel among others; opaque ones have no note, see the models above."""
    (tmp_path / "mine").mkdir()
    for number, picture in enumerate(pixels()[:8]):
        image = Image.fromarray(picture)
        image.putalpha(90) if number < 3 else None
        image.save(tmp_path / "mine" / f"{number}.png")
    images = load_images(str(tmp_path / "mine"), image_size=pixels().shape[1])
    record = measure(MatrixOfPixels(4), images, claims=[], ablation_images=0)
    (note,) = (note for note in record.notes if not note["questions"])
    assert note["text"].startswith("3 of the 8 images have an alpha channel")
    terminal = Console(file=io.StringIO(), width=4000)
    render([finite(asdict(record))], terminal)
    texts = (terminal.file.getvalue(), summary(as_results(record)), report(record, {}, tmp_path))
    assert [text.count(note["text"]) for text in texts] == [1, 1, 1]
    assert all("all questions: 3 of the" in text for text in texts[:2])


def report(record, arrays, folder):
    record.companion = companion.write(folder / companion.file_name(record.id), arrays)
    write_results(Results([record], ["notebook"], environment(), now()), folder / "results.json")
    record.companion = None
    return write_report(folder / "results.json", folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MODELS)
def test_the_report_draws_what_there_is(runs, name, tmp_path):
    absent = MISSING.get(name, (set(),))[0]
    page = report(*runs(name), tmp_path)
    assert "Cannot draw" not in page
    assert "do not belong together" not in page
    titles = {"Friction maps": "friction", "Settle maps": "settle", "Energy of the modes": "S"}
    titles |= {"Error added by losing a mode": "error_without", "Ablation of the modes": "error_only"}
    for title, needs in titles.items():
        assert (f"<h4>{title}</h4>" in page) == (needs not in absent), title
    for title in ("Spatial CV of each image", "Best, median and worst images", "Accuracy of each class"):
        assert f"<h4>{title}</h4>" in page


@pytest.mark.parametrize(
    ("model", "ablation_images", "says"),
    [
        (lambda: MatrixOfPixels(4), 0, "no image was to be decoded without a mode"),
        (lambda: MatrixOfPixels(4, keys=("S", "Vt")), 8, "decoder does not take modes apart"),
    ],
    ids=["none asked for", "no decoder"],
)
def test_why_modes_were_not_ablated(model, ablation_images, says):
    verdicts = {v.claim: v for v in measure(model(), pixels(), ablation_images=ablation_images).verdicts}
    assert verdicts["mode_share"].verdict == "not measured"
    assert says in verdicts["mode_share"].reason


def test_friction_of_column_norms_is_a_function_of_them():
    """What the note says; with Vt of its own friction is not one of S alone."""
    generator = torch.Generator().manual_seed(0)
    S = torch.rand(1, 5, generator=generator).expand(64, 5)
    turned = torch.linalg.qr(torch.randn(64, 5, 5, generator=generator))[0]
    assert len(conduit_from_svd(torch.eye(5).expand(64, 5, 5), S)[0].unique(dim=0)) == 1
    assert len(conduit_from_svd(turned, S)[0].unique(dim=0)) > 32


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (lambda x: (x, x), "gives a tuple; expected the decoded images"),
        (lambda x: {"out": x}, "gives a dict with 'out'; expected"),
        (lambda x: {"recon": x, "svd": x}, "svd is a Tensor; expected a dict"),
        (lambda x: x[:, :, 1:], "recon has shape"),
    ],
    ids=["tuple", "no recon", "svd a tensor", "shape"],
)
def test_outputs_of_another_kind_are_one_line(output, says):
    model = ConvAutoencoder()
    model.forward = output
    with pytest.raises(InputError, match=says) as caught:
        measure(model, pixels()[:8])
    assert "\n" not in str(caught.value)
