"""``results.schema.json``, made from the record's types: ``python -m geolip_theorems.results.schema``."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import msgspec

from .comparison import Comparison
from .record import Results

FILE = "results.schema.json"
OPEN = ("Figure",)  # figures may have entries of their own
PARTIAL = ("Figure", "Measurements", "Twin")  # not every entry is always there
# What types cannot say: which entries go together.
TOGETHER: dict[str, list[dict[str, Any]]] = {
    "Figure": [
        {
            "if": {"properties": {"value": {"type": "null"}}},
            "then": {"properties": {"ci95": {"type": "null"}}},
        }
    ],
    "Verdict": [
        {
            "if": {"properties": {"verdict": {"enum": ["holds", "fails"]}}},
            "then": {"properties": {"value": {"type": "number"}, "ci95": {"type": "array"}}},
        },
        {
            "if": {"properties": {"verdict": {"const": "not measured"}}},
            "then": {"properties": {"value": {"type": "null"}, "ci95": {"type": "null"}}},
        },
    ],
    "SubjectRecord": [
        {
            "if": {"properties": {"error": {"type": "null"}}, "required": ["error"]},
            "then": {"properties": {"measurements": {"required": ["script", "calibrated", "controls"]}}},
            "else": {
                "properties": {"measurements": {"maxProperties": 0}, "companion": {"type": "null"}},
            },
        }
    ],
}
# An entry of the measurements: whatever has a method is a figure.
TREE: dict[str, Any] = {
    "description": "Figures, and what stands beside them, by name.",
    "anyOf": [
        {"type": ["number", "string", "boolean", "null"]},
        {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
        {
            "type": "object",
            "if": {"required": ["method"]},
            "then": {"$ref": "#/$defs/Figure"},
            "else": {"additionalProperties": {"$ref": "#/$defs/Tree"}},
        },
    ],
}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``results.json``."""
    kinds = (Results, Comparison)
    (root, comparison), parts = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    parts["Results"]["properties"]["comparisons"]["items"] = comparison
    parts["Tree"] = TREE
    for name in ("script", "script_accuracies", "calibrated"):
        parts["Measurements"]["properties"][name]["additionalProperties"] = {"$ref": "#/$defs/Tree"}
    for name, part in parts.items():
        if "properties" in part:
            part["required"] = sorted(part.get("required", []) if name in PARTIAL else part["properties"])
            part["description"] = " ".join(part["description"].split("\n\n")[0].split())
            part["additionalProperties"] = name in OPEN
        part.update({"allOf": TOGETHER[name]} if name in TOGETHER else {})
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "geolip-theorems results"}
    return {**head, **root, "$defs": parts}


def text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    (resources.files(__package__) / FILE).write_text(text())
