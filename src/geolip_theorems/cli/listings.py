"""``models`` and ``datasets``: the names the suite knows."""

from __future__ import annotations

import argparse

from .output import print_json, print_table
from .parser import add_command


def add(commands: argparse._SubParsersAction) -> None:
    """Add both commands."""
    add_command(
        commands,
        show_models,
        "models",
        help="list the models --model knows by name",
        example="geolip-theorems models\ngeolip-theorems models --json | jq -r '.[].name'",
    )
    add_command(
        commands,
        show_datasets,
        "datasets",
        help="list the image sets --dataset knows by name",
        example="geolip-theorems datasets\npytest theorems/ --dataset photos",
    )


def model_rows() -> list[dict[str, str]]:
    """``name``, ``kind`` (auto, embedded, published, codec, form), ``about`` of everything --model takes."""
    from ..model.known import EMBEDDED, codec_names
    from ..model.published import PUBLISHED

    rows = [("auto", "auto", "v40_freckles_noise where the hub or its cache has it, else freckles_embedded")]
    rows += [(name, "embedded", f"comes with the suite, {file}") for name, file in EMBEDDED.items()]
    rows += [(name, "published", about) for name, about in PUBLISHED.items()]
    rows += [(name, "codec", about) for name, about in codec_names().items()]
    rows += [
        ("random:NAME", "form", "fresh weights in the shape of any of these"),
        ("NAME@REVISION", "form", "a published one at a revision of its repository"),
        ("hf://OWNER/REPO/FILE@REVISION", "form", "a file on the hub"),
        ("FILE", "form", "a .pt checkpoint or .safetensors file"),
        ("MODULE:FUNCTION", "form", "a function of yours that returns an nn.Module; this runs your code"),
    ]
    return [dict(zip(("name", "kind", "about"), row, strict=True)) for row in rows]


def dataset_rows() -> list[dict[str, str]]:
    """``name``, ``kind`` (auto, known, form) and ``about`` of everything --dataset takes."""
    from ..data.sources import SOURCES

    kinds = {s: "form" if s.takes else "auto" if s.name == "auto" else "known" for s in SOURCES.values()}
    return [{"name": source.name, "kind": kind, "about": source.about} for source, kind in kinds.items()]


def show_models(options: argparse.Namespace) -> None:
    """The models that pytest's --model knows by name, and the other ways to give one. Nothing is fetched."""
    _show("--model", model_rows(), options.json)


def show_datasets(options: argparse.Namespace) -> None:
    """The image sets that pytest's --dataset knows by name, and the other ways to give one. Nothing is
    fetched."""
    _show("--dataset", dataset_rows(), options.json)


def _show(option: str, rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table((option, "kind", "is"), [tuple(row.values()) for row in rows])
