"""The companion file: whole, equal bytes for equal arrays, and nothing in a foreign file is trusted."""

import io
import json
import zipfile

import numpy as np
import pytest

from geolip_theorems.io.errors import InputError
from geolip_theorems.results import companion

ARRAYS = {
    "per_image/error": np.linspace(0, 1, 7),
    "per_image/hits/release+friction": np.arange(14).reshape(2, 7) % 2 == 0,
    "picture/name": np.array("d"),
}


def test_arrays_come_back_as_they_were(tmp_path):
    entry = companion.write(tmp_path / "s.maps.npz", ARRAYS)
    found = companion.read(tmp_path / "s.maps.npz")
    assert found.keys() == ARRAYS.keys()
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(found[key], array, strict=True)
    again = companion.write(tmp_path / "t.maps.npz", ARRAYS)
    assert entry["sha256"] == again["sha256"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["s.maps.npz", "t.maps.npz"]


@pytest.mark.parametrize(
    "arrays", [{"error": np.zeros(1)}, {"a/../b": np.zeros(1)}, {"a/b": np.array([None])}], ids=str
)
def test_what_cannot_be_kept_is_refused(tmp_path, arrays):
    with pytest.raises(ValueError, match="cannot be kept"):
        companion.write(tmp_path / "s.maps.npz", arrays)


def raw(array, header=None):
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    return content if header is None else content.replace(*header)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"per_image/error.npy": raw(np.array([{}], object))}, "object"),
        ({"per_image/error.npy": raw(np.zeros(64), (b"(64,)", b"(4e9)"))}, "damaged"),
        (
            {"per_image/error.npy": raw(np.zeros(10), (b"(10,), }  ", b"(10000,), }"))},
            "its 209 bytes do not hold",
        ),
        ({"../error.npy": raw(np.zeros(1))}, "entry '../error'"),
        ({"per_image/error.npy": b"nothing"}, "damaged"),
    ],
    ids=["objects", "header", "shape", "path", "text"],
)
def test_hostile_files_are_one_line(tmp_path, entries, says):
    with zipfile.ZipFile(tmp_path / "s.maps.npz", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=says) as caught:
        companion.read(tmp_path / "s.maps.npz")
    assert "\n" not in str(caught.value)


def test_damage_and_absence_are_named(tmp_path):
    with pytest.raises(InputError, match="is missing"):
        companion.read(tmp_path / "s.maps.npz")
    companion.write(tmp_path / "s.maps.npz", ARRAYS)
    content = (tmp_path / "s.maps.npz").read_bytes()
    for cut in (content[:100], content[:-30], bytes(64), b""):
        (tmp_path / "s.maps.npz").write_bytes(cut)
        with pytest.raises(InputError, match="damaged"):
            companion.read(tmp_path / "s.maps.npz")


def test_one_files_arrays_do_not_speak_for_another_record(tmp_path):
    entry = companion.write(tmp_path / "s.maps.npz", ARRAYS)
    subject = {"companion": json.loads(json.dumps(entry))}
    assert companion.of_subject(subject, tmp_path).keys() == ARRAYS.keys()
    assert companion.of_subject({"companion": None}, tmp_path) is None
    companion.write(tmp_path / "s.maps.npz", {**ARRAYS, "per_image/error": np.ones(7)})
    with pytest.raises(InputError, match="not the one"):
        companion.of_subject(subject, tmp_path)


def test_a_large_run_stays_small(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"per_image/error_map": rng.random((1797, 16, 16)).astype(np.float16)}
    arrays |= {f"per_image/hits/{i}": rng.random((2, 1797)) < 0.9 for i in range(12)}
    companion.write(tmp_path / "s.maps.npz", arrays)
    assert (tmp_path / "s.maps.npz").stat().st_size < 3e6
