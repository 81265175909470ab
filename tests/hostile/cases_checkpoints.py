"""Checkpoints in torch.save's two formats."""

from __future__ import annotations

import struct
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from . import payloads
from .cases import CASES, Case, case, not_files
from .samples import SENTINEL, content, members, saved, weights, zipped

REFUSED = "reading it would run code"
DAMAGED = "truncated, damaged or no checkpoint"
both = ("archive", "legacy")


def write(folder: Path, data: bytes) -> Path:
    (folder / "model.pt").write_bytes(data)
    return folder / "model.pt"


def with_pickle(folder: Path, change, data: bytes | None = None) -> Path:
    """An archive whose data.pkl is changed."""
    found = members(data or saved(content(note=SENTINEL)))
    name = next(name for name in found if name.endswith("data.pkl"))
    return zipped(folder / "model.pt", {**found, name: change(found[name])})


def implanted(loader: str, instructions, folder: Path, canary: Path) -> Path:
    change = partial(payloads.implant, sentinel=SENTINEL, instructions=instructions(canary))
    if loader == "archive":
        return with_pickle(folder, change)
    return write(folder, change(saved(content(note=SENTINEL), archive=False)))


def enter(loader: str, name: str, kind: str, says: str, instructions, runs: bool = False) -> None:
    def make(folder: Path, canary: Path) -> Path:
        return implanted(loader, instructions, folder, canary)

    make.__name__ = name
    CASES.append(Case(loader, kind, make, says, runs))


for loader in both:
    for name, found in payloads.RUNNING.items():
        enter(loader, name, "runs code", f"{REFUSED}|{DAMAGED}", found, runs=True)
    for name, found in payloads.STRANGE.items():
        enter(loader, name, "names more than data", f"{REFUSED}|{DAMAGED}", lambda _, found=found: found())
    enter(loader, "memo bomb", "memory bomb", "slot 2147483647", lambda _: payloads.memo_bomb())
    enter(
        loader, "hash bomb", "time bomb", "a tuple of more than 1,000 parts", lambda _: payloads.hash_bomb()
    )
    enter(loader, "huge number", "absurd number", "a number of", lambda _: payloads.huge_number())
    enter(loader, "deep list", "nesting", "", lambda _: payloads.deep())
    not_files(loader, "model.pt")


def tensors(**changes: torch.Tensor) -> dict:
    return content(model_state_dict={**weights(), **changes})


def both_formats(kind: str, says: str):
    """Enter a maker of a dictionary for both formats."""

    def enter_both(make_content):
        for loader in both:

            def make(folder: Path, canary: Path, loader=loader) -> Path:
                return write(folder, saved(make_content(), archive=loader == "archive"))

            make.__name__ = make_content.__name__
            CASES.append(Case(loader, kind, make, says))
        return make_content

    return enter_both


@both_formats("absurd shape", "claims the shape|do not fit|its tensors together claim")
def stretched_to_a_terabyte():
    return tensors(**{"enc_in.bias": torch.zeros(1).expand(1 << 20, 1 << 18)})


@both_formats("absurd shape", "claims the shape|together claim")
def many_views_of_one_storage():
    shared = torch.zeros(1 << 16)
    return content(model_state_dict={**weights(), **{f"view{k}": shared[k:] for k in range(200)}})


@both_formats("non-finite weights", r"enc_in\.bias has 16 non-finite values")
def not_a_number():
    return tensors(**{"enc_in.bias": torch.full((16,), torch.nan)})


@both_formats("non-finite weights", r"enc_in\.bias has values beyond float32")
def too_large_for_float32():
    return tensors(**{"enc_in.bias": torch.full((16,), 1e300, dtype=torch.float64)})


@both_formats("number type", "complex64; expected floating-point weights")
def complex_weights():
    return tensors(**{"enc_in.bias": torch.zeros(16, dtype=torch.complex64)})


@both_formats("number type", "")
def half_precision():
    return content(model_state_dict={key: value.half() for key, value in weights().items()})


@both_formats("wrong content", r"a state dict entry .* that is no tensor")
def control_characters_in_a_name():
    return content(model_state_dict={"\x1b[31mred\nline": 3})


@both_formats("wrong content", "no such parameter")
def control_characters_in_a_weight():
    return tensors(**{"\x1b[31mred\nline": torch.zeros(1)})


@both_formats("wrong content", r"no model_state_dict and no config \(its keys: 'a+\.\., '.x1b\[2J'\)")
def strange_keys():
    return {"a" * 5000: 2, "\x1b[2J": 3}


@both_formats("wrong content", "a dictionary key of several parts; keys are text or numbers")
def tuples_for_keys():
    return {("a" * 5000, 1): 2}


@both_formats("absurd config", "hidden='x+.*expected 1 to 65536")
def a_size_of_a_million_letters():
    return content(config={**content()["config"], "hidden": "x" * 10**6})


@both_formats("absurd config", r"describes [\d,]+ weights")
def a_size_of_terabytes():
    return content(config={**content()["config"], "hidden": 65536, "V": 65536})


@both_formats("absurd config", "depth=65536; expected 0 to 256")
def sixty_thousand_layers():
    return content(config={**content()["config"], "depth": 65536})


@both_formats("absurd config", "img_size=nan; expected 1 to 4096 pixels")
def an_image_size_that_is_no_number():
    return content(config={**content()["config"], "img_size": float("nan")})


@both_formats("absurd config", r"img_size=\[64\]; expected")
def an_image_size_that_is_a_list():
    return content(config={**content()["config"], "img_size": [64]})


@both_formats("absurd config", "a config of over 10,000 entries, .* or nested over 8 deep")
def a_config_without_an_end():
    config = dict(content()["config"])
    config["self"] = [config]
    return content(config=config)


@both_formats("strange config", "")
def tensors_in_the_config():
    strange = {"seed": torch.zeros(3), "curriculum": torch.float32, "allowed_types": torch.Size([1])}
    strange |= {"description": b"\0", "lr": float("inf")}
    return content(config={**content()["config"], **strange}, epoch=torch.zeros(1))


@both_formats("not contiguous", "")
def transposed_weights():
    moved = {key: value.mT.contiguous().mT if value.ndim == 2 else value for key, value in weights().items()}
    return content(model_state_dict=moved)


@case("twin", "absurd config", r"describes [\d,]+ weights")
def a_twin_of_terabytes(folder: Path, canary: Path) -> Path:
    return write(folder, saved(a_size_of_terabytes()))


@case("archive", "zip bomb", "compressed in an unusual way|compressed archive")
def deflated(folder: Path, canary: Path) -> Path:
    return zipped(folder / "model.pt", {"m/data.pkl": bytes(64 << 20)}, zipfile.ZIP_DEFLATED)


@case("archive", "zip bomb", "compressed in an unusual way")
def lzma(folder: Path, canary: Path) -> Path:
    return zipped(folder / "model.pt", {"m/data.pkl": bytes(1 << 20)}, zipfile.ZIP_LZMA)


@case("archive", "zip bomb", "has no member|members NAME/data.pkl|no config")
def an_archive_in_an_archive(folder: Path, canary: Path) -> Path:
    return zipped(folder / "model.pt", {"m/archive.pt": saved(content())})


@case("archive", "lying sizes", "claims? more|compressed archive|not a zip")
def a_member_of_two_gigabytes_in_its_directory(folder: Path, canary: Path) -> Path:
    data = bytearray(saved(content()))
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<II", 2 << 30, 2 << 30)
    return write(folder, bytes(data))


@case("archive", "lying sizes", "not a zip archive")
def a_directory_of_two_gigabytes(folder: Path, canary: Path) -> Path:
    data = bytearray(saved(content()))
    at = data.rindex(b"PK\x06\x06")
    data[at + 40 : at + 48] = struct.pack("<Q", 2 << 30)
    return write(folder, bytes(data))


@case("archive", "lying sizes", "claims the shape")
def a_storage_larger_than_its_member(folder: Path, canary: Path) -> Path:
    """The pickle says 2^20 values where the member has 16: torch's own reader believes it."""
    found = members(saved(tensors(**{"enc_in.bias": torch.zeros(7, 11)})))
    name = next(name for name in found if name.endswith("data.pkl"))
    bigger = found[name].replace(b"K\x4d", b"J" + struct.pack("<i", 1 << 20), 1)
    bigger = bigger.replace(b"K\x07K\x0b\x86", b"J" + struct.pack("<i", 1 << 15) + b"K\x20\x86", 1)
    assert len(bigger) > len(found[name]) + 4
    return zipped(folder / "model.pt", {**found, name: bigger})


@case("archive", "damaged", DAMAGED)
def a_flipped_bit_in_a_weight(folder: Path, canary: Path) -> Path:
    data = bytearray(saved(tensors(**{"enc_in.bias": torch.full((16,), 1.2345)})))
    data[data.index(struct.pack("<f", 1.2345))] ^= 1
    return write(folder, bytes(data))


@case("archive", "damaged", DAMAGED)
def cut_off(folder: Path, canary: Path) -> Path:
    data = saved(content())
    return write(folder, data[: len(data) // 2])


@case("legacy", "damaged", f"{DAMAGED}.*truncated")
def cut_off_in_the_weights(folder: Path, canary: Path) -> Path:
    return write(folder, saved(content(), archive=False)[:-1000])


@case("legacy", "damaged", DAMAGED)
def cut_off_in_the_pickle(folder: Path, canary: Path) -> Path:
    return write(folder, saved(content(), archive=False)[:300])


@case("legacy", "lying sizes", "it claims -?[0-9,]+ values where it ends")
def a_storage_of_exabytes(folder: Path, canary: Path) -> Path:
    data = saved({"model_state_dict": {"a": torch.zeros(3)}, "config": {}}, archive=False)
    return write(folder, data[:-20] + struct.pack("<q", 1 << 58) + data[-12:])


@case("legacy", "lying sizes", "it claims -?[0-9,]+ values where it ends")
def a_storage_of_fewer_than_none(folder: Path, canary: Path) -> Path:
    data = saved({"model_state_dict": {"a": torch.zeros(3)}, "config": {}}, archive=False)
    return write(folder, data[:-20] + struct.pack("<q", -5) + data[-12:])


@case("legacy", "wrong magic", "that torch.save did not write")
def a_pickle_of_something_else(folder: Path, canary: Path) -> Path:
    return write(folder, payloads.alone(b"K\x01") * 5)


@case("legacy", "wrong magic", "neither an archive's nor a pickle's first bytes")
def a_picture(folder: Path, canary: Path) -> Path:
    return write(folder, b"\x89PNG\r\n\x1a\n" + bytes(100))


@case("legacy", "path trick", "tar archive|no checkpoint")
def a_tar_that_begins_like_a_pickle(folder: Path, canary: Path) -> Path:
    import io
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        link = tarfile.TarInfo("storages")
        link.type, link.linkname = tarfile.SYMTYPE, str(canary)
        head = tarfile.TarInfo("\udc80\x02K\x01.")
        tar.addfile(head)
        tar.addfile(link)
    return write(folder, stream.getvalue())


@case("archive", "path trick", "0 members NAME/data.pkl")
def members_outside(folder: Path, canary: Path) -> Path:
    found = members(saved(content()))
    return zipped(folder / "model.pt", {"../../" + name: data for name, data in found.items()})


@case("archive", "path trick", "2 members NAME/data.pkl")
def two_roots(folder: Path, canary: Path) -> Path:
    found = members(saved(content()))
    return zipped(
        folder / "model.pt", {**found, **{"other/" + n.split("/", 1)[1]: d for n, d in found.items()}}
    )


@case("archive", "equal names", "two members named")
def two_members_that_differ_in_case(folder: Path, canary: Path) -> Path:
    found = members(saved(content()))
    upper = {name.replace("data.pkl", "DATA.PKL"): b"\x80\x02." for name in found}
    return zipped(folder / "model.pt", {**upper, **found})


@case("archive", "byte order", "big-endian")
def big_endian(folder: Path, canary: Path) -> Path:
    found = members(saved(content()))
    return zipped(
        folder / "model.pt", {n: b"big" if n.endswith("byteorder") else d for n, d in found.items()}
    )


@case("archive", "runs code", "refused|no checkpoint")
def a_module_with_its_source(folder: Path, canary: Path) -> Path:
    return write(folder, saved(torch.nn.Linear(2, 2)))


@case("archive", "runs code", f"{REFUSED}|{DAMAGED}")
def a_torchscript_archive(folder: Path, canary: Path) -> Path:
    found = {
        "data.pkl": b"\x80\x02c__torch__.M\nLinear\n)\x81.",
        "constants.pkl": b"\x80\x02).",
        "version": b"3",
    }
    return zipped(folder / "model.pt", {"m/" + name: data for name, data in found.items()})


@case("archive", "names more than data", REFUSED)
def a_numpy_array_of_objects(folder: Path, canary: Path) -> Path:
    return write(folder, saved(content(note=np.array([{}], object))))


@case("archive", "memory bomb", "")
def a_numpy_scalar_made_of_a_size(folder: Path, canary: Path) -> Path:
    """A control of the next: a number that is one."""
    return write(folder, saved(content(test_mse=np.float64(0.5))))


@case("archive", "memory bomb", DAMAGED)
def a_numpy_scalar_of_a_terabyte(folder: Path, canary: Path) -> Path:
    scalar = b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(" + payloads.text("f8") + b"tR"
    return with_pickle(folder, partial(payloads.implant, sentinel=SENTINEL,
                                       instructions=scalar + b"\x8a\x06\0\0\0\0\0\x10tR"))  # fmt: skip
