"""The record meets its schema, wrong records do not, and a changed shape needs another version."""

import copy
import hashlib
import importlib.resources
import json

import jsonschema
import numpy as np
import pytest

from geolip_theorems import measure
from geolip_theorems.compare.judging import compare
from geolip_theorems.results import schema
from geolip_theorems.results.environment import environment
from geolip_theorems.results.record import FORMAT, VERSION, Results, SubjectRecord, now

SCHEMA_TEXT = (importlib.resources.files("geolip_theorems.results") / "results.schema.json").read_bytes()
SCHEMA = json.loads(SCHEMA_TEXT)
# The schema of each version by its SHA-256. A change of the schema is a change of the record's shape: raise
# VERSION, and add the new schema here. Schemas of versions that were released never change.
SCHEMAS = {
    2: "873d93aa0ae9b1d5c1cd8f0b7dc29573676558e6639889259b3fbbd21a3da32d",
    3: "93b9984bbbcf9b2ea547a4ee0a03ef8e19837ab841410a6d051618ddccdb3743",
}


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture(scope="module")
def whole(sides):
    """A record with all a run can have."""
    run = Results([], ["pytest", "theorems/"], environment(), now()).to_dict()
    run["subjects"] = [side.subject for side in (sides["golden"], sides["noisy"])]
    run["subjects"][0]["companion"] = {"file": "golden-scenes.maps.npz", "sha256": "0" * 64}
    run["comparisons"] = [compare(sides["golden"], sides["noisy"], kind="models").to_dict()]
    return json.loads(json.dumps(run, allow_nan=False))


def faults(validator, record):
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(record)]


def test_a_measured_record_meets_the_schema(validator, whole):
    assert faults(validator, whole) == []
    assert whole["subjects"][0]["measurements"]["controls"]["twins"]


def test_a_failed_subject_meets_it_too(validator, whole):
    good = whole["subjects"][0]
    failed = SubjectRecord(
        "m-d", good["model"], good["dataset"], 0, "cpu", protocol=good["protocol"], error="output not finite"
    )
    record = Results([failed], ["pytest"], environment(), now()).to_dict()
    assert faults(validator, record) == []
    record["subjects"][0]["measurements"] = good["measurements"]
    assert faults(validator, record), "measurements of a subject that has none"


ODD = {
    "no labels": (12, None, None, 16),
    "one image": (1, None, None, 16),
    "two images per class": (4, np.array([0, 0, 1, 1]), None, 16),
    "one patch": (24, np.arange(24) % 3, None, 4),
    "classes in every group": (36, np.arange(36) % 2, np.arange(36) // 6, 16),
    "groups of one class": (36, np.arange(36) // 6 % 2, np.arange(36) // 6, 16),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_subjects_meet_it(validator, golden_model, odd):
    """Where figures are undefined or carry more than usual; ablation of a few images."""
    n, labels, groups, size = ODD[odd]
    pixels = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    record = measure(golden_model, pixels, labels, groups=groups, ablation_images=min(n, 6) if n > 4 else 0)
    run = Results([record], ["notebook"], environment(), now()).to_dict()
    assert faults(validator, run) == []


def place(record, path):
    node = record
    for key in path[:-1]:
        node = node[key]
    return node, path[-1]


SUBJECT = ("subjects", 0)
VERDICT = (*SUBJECT, "verdicts", 0)
FIGURE = (*SUBJECT, "measurements", "calibrated", "spatial_cv", "corrected")
REMOVED = object()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 1),
        (("format",), "other"),
        (("created",), "yesterday"),
        (("command",), "pytest"),
        (("subjects",), []),
        (("surprise",), 1),
        (("environment", "cpu"), REMOVED),
        (("environment", "host"), "somewhere"),
        ((*SUBJECT, "seed"), -1),
        ((*SUBJECT, "device"), "tpu"),
        ((*SUBJECT, "model", "sha256"), "abc"),
        ((*SUBJECT, "dataset", "n_images"), 0),
        ((*SUBJECT, "protocol", "measures"), REMOVED),
        ((*SUBJECT, "protocol", "probe"), "forest"),
        ((*SUBJECT, "companion", "file"), "../elsewhere.maps.npz"),
        ((*SUBJECT, "measurements"), {}),
        ((*SUBJECT, "measurements", "calibrated"), REMOVED),
        ((*SUBJECT, "measurements", "surprise"), {}),
        ((*SUBJECT, "measurements", "script"), 0.5),
        ((*SUBJECT, "measurements", "controls", "images"), -1),
        ((*SUBJECT, "notes"), ["a note"]),
        ((*SUBJECT, "timings", "extraction_s"), "1 s"),
        ((*VERDICT, "verdict"), "true"),
        ((*VERDICT, "claim"), None),
        ((*VERDICT, "surprise"), 1),
        ((*VERDICT, "unit"), "%"),
        ((*VERDICT, "value"), None),
        ((*VERDICT, "value"), "0.5"),
        ((*VERDICT, "ci95"), [0.1]),
        ((*VERDICT, "n"), 1.5),
        ((*VERDICT, "p"), 1.2),
        ((*VERDICT, "comparison"), ">="),
        ((*VERDICT, "attributed"), "yes"),
        ((*VERDICT, "reason"), REMOVED),
        ((*FIGURE, "ci95"), REMOVED),
        ((*FIGURE, "value"), None),
        ((*FIGURE, "n"), -3),
        ((*FIGURE, "method"), None),
        ((*FIGURE, "p"), -0.1),
        ((*SUBJECT, "measurements", "controls", "subject", "spatial_cv", "n"), "50"),
        (("comparisons", 0, "metrics", 0, "outcome"), "bad"),
        (("comparisons", 0, "metrics", 0, "joint"), REMOVED),
        (("comparisons", 0, "verdicts", 0, "candidate"), "maybe"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_wrong_records_do_not_meet_it(validator, whole, path, value):
    record = copy.deepcopy(whole)
    node, key = place(record, path)
    assert key in node or key in ("surprise", "host"), "the control changes what is there"
    if value is REMOVED:
        del node[key]
    else:
        node[key] = value
    assert faults(validator, record)


def test_another_shape_needs_another_version():
    fields = SCHEMA["$defs"]["Results"]["properties"]
    assert fields["version"]["enum"] == [VERSION]
    assert fields["format"]["enum"] == [FORMAT]
    assert max(SCHEMAS) == VERSION
    assert hashlib.sha256(SCHEMA_TEXT).hexdigest() == SCHEMAS[VERSION], (
        "results.schema.json changed: raise record.VERSION and add the new schema's SHA-256 to SCHEMAS"
    )


def test_every_object_of_the_schema_says_what_it_may_hold():
    """A new key of the record is a change of the schema, but for what questions and models add themselves."""
    objects = {path: node for path, node in walk(SCHEMA, "") if "if" not in node}
    open_ended = {path for path, node in objects.items() if node.get("additionalProperties", True) is True}
    assert open_ended == {"/$defs/Figure", "/$defs/Model/properties/config"}


def test_the_schema_is_the_types():
    assert schema.text().encode() == SCHEMA_TEXT, "write it anew: python -m geolip_theorems.results.schema"


def test_figures_and_verdicts_of_other_questions_meet_it(validator, whole):
    """Open where questions are added: a name nobody knows, and one form for what it names."""
    record = copy.deepcopy(whole)
    subject = record["subjects"][0]
    figure = {"value": 0.5, "ci95": [0.4, 0.6], "n": 80, "method": "own", "anything": {"of": "its own"}}
    subject["measurements"]["calibrated"]["entropy"] = {"of": {"patches": figure}}
    more = {"question": "entropy", "claim": "entropy.of.patches > 0.1", "metric": "entropy.of.patches"}
    subject["verdicts"].append({**subject["verdicts"][0], **more})
    assert faults(validator, record) == []
    figure["ci95"] = 0.4
    assert faults(validator, record), "a figure of another form"


def walk(node, path):
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, value in node.items():
            yield from walk(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{path}/{index}")
