"""Data flows one way: no import goes up, none in a circle; files, functions and headers stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "geolip_theorems"
# From the ground up; a package may import those before it. The loose modules at the top are the public names.
LAYERS = (
    *("io", "stats", "conduit", "data", "model", "drawing", "extraction", "probes", "results"),
    *("questions", "script", "compare", "run", "training", "report", "public", "plugin", "cli"),
)
ONE_WAY = {
    "script": {"run", "public"}
}  # the frozen protocol is measured beside the others, and built on by none
WITHOUT_TORCH = ("io", "stats", "drawing", "results", "compare", "report", "cli")
LINES = 400
PARAMETERS = 8
# Kernels are given the packet's arrays one by one, `measure` takes its options as keywords.
WIDER = {
    "conduit/numba_solver.py:solve_tile": 15,
    "conduit/numba_solver.py:solve_tiles": 14,
    "run/measure.py:measure": 14,
    "probes/nested.py:cross_validated": 9,
}


def imports(text: str, package: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Every module or name a file imports, and whether already when the file is loaded."""

    def walk(node: ast.AST, loaded: bool) -> Iterator[tuple[tuple[str, ...], bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ImportFrom):
                start = package[: len(package) - child.level + 1] if child.level else ()
                base = (*start, *(child.module or "").split(".")) if child.module else start
                yield from (((*base, name.name), loaded) for name in child.names)
            elif isinstance(child, ast.Import):
                yield from ((tuple(name.name.split(".")), loaded) for name in child.names)
            body = isinstance(child, ast.FunctionDef) or (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            )
            yield from walk(child, loaded and not body)

    yield from walk(ast.parse(text), True)


def layer(path: tuple[str, ...]) -> str:
    """The package below ``geolip_theorems`` that a dotted name lies in."""
    return path[1] if len(path) > 1 and path[1] in LAYERS else "public"


def wrong_ways(text: str, package: tuple[str, ...]) -> list[str]:
    here = layer(package)
    found = {layer(path) for path, _ in imports(text, package) if path[:1] == ("geolip_theorems",)} - {here}
    up = {there for there in found if LAYERS.index(there) > LAYERS.index(here)}
    closed = {there for there in found if here not in ONE_WAY.get(there, LAYERS)}
    return sorted(up | closed)


def package_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(PACKAGE.parent).parent.parts


SOURCES = sorted(PACKAGE.rglob("*.py"))
PYTHON = sorted(
    p for part in ("src", "tests", "theorems", "fixtures", "benchmarks") for p in (ROOT / part).rglob("*.py")
)


def test_every_package_has_its_layer():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == {*LAYERS} - {"public"}


def test_no_import_goes_up():
    wrong = {
        str(p.relative_to(PACKAGE)): ways
        for p in SOURCES
        if (ways := wrong_ways(p.read_text(), package_of(p)))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("text", "package", "ways"),
    [
        ("from ..run import measure", ("geolip_theorems", "stats"), ["run"]),
        ("def f():\n    from ..report.html import write", ("geolip_theorems", "questions"), ["report"]),
        ("from ...script import protocol", ("geolip_theorems", "questions", "spatial"), ["script"]),
        ("from ..script import protocol", ("geolip_theorems", "compare"), ["script"]),
        ("from .. import claim", ("geolip_theorems", "io"), ["public"]),
        ("from ..io.errors import InputError", ("geolip_theorems", "stats"), []),
    ],
)
def test_an_arrow_upwards_is_seen(text, package, ways):
    assert wrong_ways(text, package) == ways


def circles(edges: dict[str, set[str]]) -> list[str]:
    """Modules that import each other while they are loaded, by taking away what imports nothing left."""
    left = {name: set(to) for name, to in edges.items()}
    while free := {name for name, to in left.items() if not to & left.keys()}:
        left = {name: to for name, to in left.items() if name not in free}
    return sorted(left)


def module_edges() -> dict[str, set[str]]:
    names = {
        ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for p in SOURCES
    }
    edges = {}
    for path in SOURCES:
        here = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        found = {
            ".".join(i[:k])
            for i, loaded in imports(path.read_text(), package_of(path))
            if loaded
            for k in (len(i) - 1, len(i))
        }
        # A package's __init__ that gathers its own modules is no circle: they never import it back by name.
        edges[here] = {name for name in found & names if name != here and not here.startswith(f"{name}.")}
    return edges


def test_no_modules_import_each_other():
    assert circles(module_edges()) == []


def test_a_circle_is_seen():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == ["a", "b", "c", "d"]


def test_the_ground_floor_has_no_torch():
    heavy = {"torch", "torchvision"}
    found = {
        str(path.relative_to(PACKAGE))
        for part in WITHOUT_TORCH
        for path in (PACKAGE / part).rglob("*.py")
        if any(loaded and name[0] in heavy for name, loaded in imports(path.read_text(), package_of(path)))
    }
    assert found == set()


def test_no_file_is_longer_than_four_hundred_lines():
    assert {
        str(p.relative_to(ROOT)): n for p in PYTHON if (n := len(p.read_text().splitlines())) > LINES
    } == {}


def parameters(function: ast.FunctionDef) -> int:
    names = [arg.arg for arg in (*function.args.args, *function.args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_no_function_has_more_than_eight_parameters():
    wide = {
        f"{path.relative_to(PACKAGE)}:{node.name}": parameters(node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and parameters(node) > PARAMETERS
    }
    assert wide == WIDER


def test_parameters_are_counted():
    method = ast.parse("def f(self, a, b=1, *rest, c, d=2, **more): ...").body[0]
    assert parameters(method) == 4
