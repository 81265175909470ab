"""Records: results.json, companions, and the TOML files of thresholds and expectations."""

from __future__ import annotations

import json
import os
import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from . import payloads
from .cases import CASES, Case, case, not_files
from .samples import header, npy, results, zipped

# --- results.json ----------------------------------------------------------------------------------------

not_files("results", "results.json")
not_files("compare", "results.json")


def results_case(name: str, kind: str, says: str, make) -> None:
    def write(folder: Path, canary: Path) -> Path:
        found = make()
        (folder / "results.json").write_bytes(
            found if isinstance(found, bytes) else json.dumps(found).encode()
        )
        return folder / "results.json"

    write.__name__ = name
    CASES.append(Case("results", kind, write, says))


def changed(**changes: object) -> dict:
    return {**results(), **changes}


def with_verdict(**changes: object) -> dict:
    found = results()
    found["subjects"][0]["verdicts"][0].update(changes)
    return found


def with_subject(**changes: object) -> dict:
    found = results()
    found["subjects"][0].update(changes)
    return found


def deep_in_its_measurements(levels: int) -> bytes:
    found = json.dumps(results()).encode()
    assert b'"measurements": {}' in found
    return found.replace(
        b'"measurements": {}', b'"measurements": {"x": %s%s}' % (b"[" * levels, b"]" * levels)
    )


for entry in (
    ("deep lists", "nesting", "is not JSON", lambda: b"[" * 10**6),
    ("deep dictionaries", "nesting", "is not JSON", lambda: b'{"a":' * 10**5),
    ("deep in its measurements", "nesting", "is not JSON|nested", lambda: deep_in_its_measurements(5000)),
    ("a hundred deep", "nesting", "nested over 60", lambda: deep_in_its_measurements(100)),
    ("a number of 5000 digits", "absurd number", "is not JSON", lambda: b'{"format": ' + b"9" * 5000 + b"}"),
    ("nan", "absurd number", "is not JSON", lambda: json.dumps(with_verdict(value=float("nan"))).encode()),
    ("infinity", "absurd number", "is not JSON", lambda: json.dumps(with_verdict(p=float("inf"))).encode()),
    ("not utf8", "encoding", "is not JSON", lambda: b'{"format": "\xff\xfe"}'),
    ("utf16", "encoding", "is not JSON", lambda: json.dumps(results()).encode("utf-16")),
    ("truncated", "truncated", "is not JSON", lambda: json.dumps(results()).encode()[:500]),
    ("a pickle", "wrong magic", "is not JSON", lambda: b"\x80\x02cos\nsystem\n(X\x01\0\0\0xtR."),
    ("a list", "wrong content", "not a results file of this suite", lambda: []),
    ("another format", "wrong content", "not a results file of this suite", lambda: changed(format="x")),
    ("another version", "wrong version", "of version 99", lambda: changed(version=99)),
    ("a version of letters", "wrong version", "of version",
     lambda: changed(version="\x1b[31m" + "x" * 10**5)),
    ("subjects that are text", "wrong type", "results file", lambda: changed(subjects="many")),
    ("no subjects", "missing part", "missing required field `subjects`",
     lambda: {k: v for k, v in results().items() if k != "subjects"}),
    ("a subject that is a number", "wrong type", "results file", lambda: changed(subjects=[3])),
    ("a model without a name", "missing part", "results file", lambda: with_subject(model={})),
    ("verdicts that are a dictionary", "wrong type", "results file", lambda: with_subject(verdicts={"a": 1})),
    ("an unknown verdict", "wrong type", "results file", lambda: with_verdict(verdict="perhaps")),
    ("an interval of one number", "wrong type", "results file", lambda: with_verdict(ci95=[1])),
    ("a value of letters", "wrong type", "results file", lambda: with_verdict(value="high")),
    ("a good one", "fine", "", results),
):  # fmt: skip
    results_case(*entry)


@case("results", "too large", "expected at most")
def a_sparse_terabyte(folder: Path, canary: Path) -> Path:
    (folder / "results.json").touch()
    os.truncate(folder / "results.json", 1 << 40)
    return folder / "results.json"


# --- companions ------------------------------------------------------------------------------------------

KEY = "per_image/error"
floats = partial(header, descr="'<f4'")
BAD = "companion .* (is damaged|is not of this suite|unpacks to|cannot be read)"

not_files("companion", "m-d.maps.npz", says="companion|cannot be read|is not a file")


def companion_case(name: str, kind: str, says: str, make) -> None:
    def write(folder: Path, canary: Path) -> Path:
        found = make(canary)
        path = folder / "m-d.maps.npz"
        if isinstance(found, bytes):
            path.write_bytes(found)
            return path
        return zipped(path, found, zipfile.ZIP_DEFLATED)

    write.__name__ = name
    CASES.append(Case("companion", kind, write, says))


def objects(canary: Path) -> dict[str, bytes]:
    return {f"{KEY}.npy": npy(np.array([payloads.Runs(canary)], object), True)}


for entry in (
    ("objects", "runs code", BAD, objects),
    ("a member outside", "path trick", BAD, lambda _: {"../../x/y.npy": npy(np.zeros(3))}),
    ("an absolute member", "path trick", BAD, lambda _: {"/etc/passwd": npy(np.zeros(3))}),
    ("a name in control characters", "path trick", BAD, lambda _: {"a/\x1b[31m\n.npy": npy(np.zeros(3))}),
    ("a terabyte in its header", "absurd shape", BAD, lambda _: {f"{KEY}.npy": floats("(1000000000000,)")}),
    ("negative sides", "absurd shape", BAD, lambda _: {f"{KEY}.npy": floats("(-2, -1000000)")}),
    ("a header that ends in a string", "header", BAD, lambda _: {f"{KEY}.npy": floats("((((1, 2")}),
    ("a structured dtype", "wrong dtype", BAD, lambda _: {f"{KEY}.npy": header("(1,)", "[('a', '<f4')]")}),
    ("two hundred megabytes of zeros", "zip bomb", "unpacks to",
     lambda _: {f"{KEY}.npy": floats("(52428800,)") + bytes(200 << 20)}),
    ("not an archive", "wrong magic", BAD, lambda _: b"\x93NUMPY\x01\x00 alone"),
    ("truncated", "truncated", BAD, lambda _: zip_bytes({f"{KEY}.npy": npy(np.zeros(3))})[:-40]),
    ("a flipped bit", "damaged", BAD, lambda _: flipped()),
    ("a good one", "fine", "", lambda _: {f"{KEY}.npy": npy(np.zeros(3))}),
    ("big endian", "fine", "", lambda _: {f"{KEY}.npy": npy(np.zeros(3, ">f4"))}),
):  # fmt: skip
    companion_case(*entry)


def zip_bytes(found: dict[str, bytes]) -> bytes:
    import io

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return stream.getvalue()


def flipped() -> bytes:
    data = bytearray(zip_bytes({f"{KEY}.npy": npy(np.full(100, 1.5))}))
    data[300] ^= 1
    return bytes(data)


# --- TOML ------------------------------------------------------------------------------------------------

not_files("toml", "thresholds.toml")

ENTRY = {"model": "m", "dataset": "d", "images": 60, "claim": "spatial_cv", "verdict": "fails", "reason": "r"}


def toml_case(name: str, kind: str, says: str, text: str | bytes, file: str = "thresholds.toml") -> None:
    def write(folder: Path, canary: Path) -> Path:
        (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder / file

    write.__name__ = name
    CASES.append(Case("toml", kind, write, says))


def expected(**changes: object) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**ENTRY, **changes}.items()]
    return "[[expected]]\n" + "\n".join(lines) + "\n"


TABLE = "[thresholds]\nspatial_cv = "
NOT_TOML = "is not TOML"
for entry in (
    ("deep lists", "nesting", NOT_TOML, "x = " + "[" * 100_000),
    ("deep tables", "nesting", "over 64 dots", "[" + "a." * 5_000 + "b]"),
    ("a number of 5000 digits", "absurd number", NOT_TOML, TABLE + "9" * 5000),
    ("a number of 400 digits", "absurd number", "expected a number, finite", TABLE + "9" * 400),
    ("nan", "absurd number", "expected a number, finite", TABLE + "nan"),
    ("infinity", "absurd number", "expected a number, finite", TABLE + "-inf"),
    ("a threshold of letters", "wrong type", "is 'high'; expected", TABLE + '"high"'),
    ("a threshold that is true", "wrong type", "is True; expected", TABLE + "true"),
    ("an unknown claim of letters", "unknown name", "unknown claim in the thresholds file",
     "[thresholds]\n" + "x" * 200_000 + " = 1"),
    ("control characters", "unknown name", "unknown claim", '[thresholds]\n"\\u001b[31m\\n" = 1'),
    ("not utf8", "encoding", NOT_TOML, b"[thresholds]\n\xff = 1"),
    ("nul", "encoding", NOT_TOML, b"[thresholds]\nspatial_cv = \0"),
    ("one key twice", "equal names", NOT_TOML, TABLE + "1\nspatial_cv = 2"),
    ("another table", "wrong content", "needs one table", "[limits]\nspatial_cv = 1"),
    ("two megabytes", "too large", "expected at most", "#" * (2 << 20)),
):  # fmt: skip
    toml_case(*entry)
for entry in (
    ("an expectation without a reason", "missing part", "entry 1: expected the entries", expected().replace(
        'reason = "r"\n', "")),
    ("an expectation of other types", "wrong type", "entry 1: expected the entries", expected(images="60")),
    ("an expectation of an unknown claim", "unknown name", "unknown claim", expected(claim="x" * 10**5)),
    ("an expectation that holds", "unknown name", "unknown verdict", expected(verdict="holds")),
    ("one expectation twice", "equal names", "two entries for", expected() * 2),
    ("expectations that are a number", "wrong content", "may only hold", "expected = 3"),
    ("a good expectation", "fine", "", expected()),
):  # fmt: skip
    toml_case(*entry, file="expected.toml")
