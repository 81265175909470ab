"""The part of a results record that equal inputs, seed and device make equal, to the last byte.

What else a record holds says when, how and how fast it was made. ``VOLATILE`` lists all of it; the tests
run the suite twice, differently, and compare the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Paths from the record's root, ``*`` for every item of a list, and why two equal runs differ there.
VOLATILE: dict[str, str] = {
    "created": "when the run ended",
    "command": "how it was asked for: folders, -n, the order of tests",
    "environment.torch_threads": "threads of the process that wrote the record; figures do not depend on it",
    "environment.cpus_allowed": "the same of processors",
    "subjects.*.timings": "seconds, and what came from the cache",
    "comparisons.*.timings": "seconds of both sides",
}


def stable(results: Mapping[str, Any]) -> dict[str, Any]:
    """A record without its volatile parts; the record itself is left as it is."""
    content = json.loads(json.dumps(results))
    for path in VOLATILE:
        _remove(content, path.split("."))
    return content


def differences(one: Any, other: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Where two contents differ: path -> the two values, ``None`` for what is not there."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        pairs = [(key, one.get(key), other.get(key)) for key in {**one, **other}]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(number), *pair) for number, pair in enumerate(zip(one, other, strict=True))]
    else:
        return {} if one == other and type(one) is type(other) else {path: (one, other)}
    found: dict[str, tuple[Any, Any]] = {}
    for key, first, second in pairs:
        found |= differences(first, second, f"{path}.{key}" if path else key)
    return found


def _remove(content: Any, path: list[str]) -> None:
    head, *rest = path
    if head == "*":
        for item in content if isinstance(content, list) else []:
            _remove(item, rest)
    elif not isinstance(content, dict):
        return
    elif rest:
        _remove(content.get(head), rest)
    else:
        content.pop(head, None)
