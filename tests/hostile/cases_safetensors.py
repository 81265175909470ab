"""Safetensors files: a header in JSON, then bytes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import torch
from safetensors.torch import save

from geolip_theorems.model.writing import CONFIG_KEY

from .cases import case, not_files
from .samples import CONFIG, weights

NOT_READABLE = "not a readable safetensors file"
DAMAGED_CONFIG = f"a damaged {CONFIG_KEY} entry"


def write(folder: Path, data: bytes) -> Path:
    (folder / "model.safetensors").write_bytes(data)
    return folder / "model.safetensors"


def built(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: list, offsets: list, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def good(config: object = CONFIG, **changes: torch.Tensor) -> bytes:
    text = config if isinstance(config, str) else json.dumps(config)
    return save({**weights(), **changes}, metadata={CONFIG_KEY: text})


not_files("safetensors", "model.safetensors")


@case("safetensors", "header size", r"a header of 2,147,483,648 bytes")
def a_header_of_two_gigabytes(folder: Path, canary: Path) -> Path:
    return write(folder, struct.pack("<Q", 2 << 30) + good()[8:])


@case("safetensors", "header size", r"a header of 18,446,744,073,709,551,615 bytes")
def a_header_of_exabytes(folder: Path, canary: Path) -> Path:
    return write(folder, struct.pack("<Q", 2**64 - 1) + good()[8:])


@case("safetensors", "absurd shape", NOT_READABLE)
def two_to_the_sixty(folder: Path, canary: Path) -> Path:
    return write(folder, built({"a": entry([2**60], [0, 4])}, bytes(4)))


@case("safetensors", "absurd shape", NOT_READABLE)
def a_product_that_overflows_to_sixteen(folder: Path, canary: Path) -> Path:
    return write(folder, built({"a": entry([2**33, 2**31 + 1], [0, 16])}, bytes(16)))


@case("safetensors", "absurd shape", NOT_READABLE)
def a_negative_side(folder: Path, canary: Path) -> Path:
    return write(folder, built({"a": entry([-1], [0, 4])}, bytes(4)))


@case("safetensors", "absurd shape", NOT_READABLE + "|not a PatchSVAE's")
def a_million_dimensions(folder: Path, canary: Path) -> Path:
    return write(folder, built({"a": entry([1] * 10**6, [0, 4])}, bytes(4)))


@case("safetensors", "overlap", NOT_READABLE)
def overlapping_tensors(folder: Path, canary: Path) -> Path:
    return write(folder, built({"a": entry([2], [0, 8]), "b": entry([2], [4, 12])}, bytes(12)))


@case("safetensors", "overlap", NOT_READABLE)
def one_place_for_ten_thousand(folder: Path, canary: Path) -> Path:
    return write(folder, built({f"t{k}": entry([1024], [0, 4096]) for k in range(10_000)}, bytes(4096)))


@case("safetensors", "beyond the end", NOT_READABLE)
def data_beyond_the_end(folder: Path, canary: Path) -> Path:
    return write(folder, built({"a": entry([2**20], [0, 2**22])}, bytes(4)))


@case("safetensors", "truncated", NOT_READABLE)
def cut_off(folder: Path, canary: Path) -> Path:
    return write(folder, good()[:-100])


@case("safetensors", "wrong magic", NOT_READABLE)
def a_pickle_under_this_name(folder: Path, canary: Path) -> Path:
    return write(folder, b"\x80\x02cos\nsystem\n(X\x01\0\0\0xtR.")


@case("safetensors", "deep JSON", NOT_READABLE)
def a_header_nested_a_million_deep(folder: Path, canary: Path) -> Path:
    return write(folder, built(b"[" * 10**6))


@case("safetensors", "deep JSON", DAMAGED_CONFIG)
def a_config_nested_deep(folder: Path, canary: Path) -> Path:
    return write(folder, good("[" * 100_000))


@case("safetensors", "deep JSON", "nested over 8 deep")
def a_config_nested_twenty_deep(folder: Path, canary: Path) -> Path:
    return write(folder, good(json.dumps({**CONFIG, "x": json.loads("[" * 20 + "]" * 20)})))


@case("safetensors", "absurd number", DAMAGED_CONFIG)
def a_config_with_a_number_of_5000_digits(folder: Path, canary: Path) -> Path:
    return write(folder, good('{"V": ' + "9" * 5000 + "}"))


@case("safetensors", "absurd number", "V='.a number of 997 bits.'; expected")
def a_config_with_a_number_of_300_digits(folder: Path, canary: Path) -> Path:
    return write(folder, good(json.dumps({**CONFIG, "V": 10**300})))


@case("safetensors", "absurd number", "V=nan; expected")
def a_config_with_nan(folder: Path, canary: Path) -> Path:
    return write(folder, good(json.dumps({**CONFIG, "V": float("nan")})))


@case("safetensors", "absurd number", "hidden=65536|describes")
def a_config_of_terabytes(folder: Path, canary: Path) -> Path:
    return write(folder, good(json.dumps({**CONFIG, "V": 65536, "hidden": 65536})))


@case("safetensors", "number type", r"enc_in\.bias is torch\.float8_e4m3fn; expected")
def eight_bit_floats(folder: Path, canary: Path) -> Path:
    return write(folder, good(**{"enc_in.bias": torch.zeros(16, dtype=torch.float8_e4m3fn)}))


@case("safetensors", "number type", r"complex64; expected|not a readable")
def complex_weights(folder: Path, canary: Path) -> Path:
    return write(folder, good(**{"enc_in.bias": torch.zeros(16, dtype=torch.complex64)}))


@case("safetensors", "number type", NOT_READABLE)
def a_type_nobody_knows(folder: Path, canary: Path) -> Path:
    return write(folder, built({"a": entry([1], [0, 4], "F128")}, bytes(4)))


@case("safetensors", "non-finite weights", "has 16 non-finite values")
def infinite_weights(folder: Path, canary: Path) -> Path:
    return write(folder, good(**{"enc_in.bias": torch.full((16,), torch.inf)}))


@case("safetensors", "path trick", "no such parameter")
def a_name_that_is_a_path(folder: Path, canary: Path) -> Path:
    return write(folder, good(**{"../../../etc/passwd\0\x1b[31m": torch.zeros(1)}))


@case("safetensors", "equal names", NOT_READABLE + "|not a PatchSVAE's")
def one_name_twice(folder: Path, canary: Path) -> Path:
    one = json.dumps(entry([1], [0, 4]))
    return write(folder, built(f'{{"a": {one}, "a": {one}}}'.encode(), bytes(4)))


@case("safetensors", "wrong content", "not a dictionary")
def a_config_that_is_a_list(folder: Path, canary: Path) -> Path:
    return write(folder, good("[1, 2]"))


@case("safetensors", "fine", "")
def a_good_one(folder: Path, canary: Path) -> Path:
    return write(folder, good())
