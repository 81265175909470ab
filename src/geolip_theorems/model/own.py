"""``module:function``: a model that a function of the user's own returns.

This runs the user's code, so it is done only for what a person named on the command line, never for a name
out of a file.
"""

from __future__ import annotations

import importlib
import sys
from difflib import get_close_matches
from pathlib import Path

from torch import nn

from ..io.errors import InputError, nearest, printable, reason

FORMS = ("codec", "random")  # what else stands before a colon
EXPECTED = "expected module:function, a function without arguments that returns an nn.Module"


def own_model(source: str) -> nn.Module:
    """The model that ``module:function`` returns; modules of the present folder are found too.

    Raises:
        InputError: no such module or function, the function raises, or what it returns is no ``nn.Module``.
    """
    folder = str(Path.cwd())  # ``python -m pytest`` puts it on the path, ``pytest`` does not
    sys.path.insert(0, folder)
    try:
        return _made(source, *source.split(":"))
    finally:
        sys.path.remove(folder)


def _made(source: str, module_name: str, function_name: str) -> nn.Module:
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module of the user's may raise anything
        near = get_close_matches(module_name, FORMS, 1)
        hint = f"did you mean '{near[0]}:{function_name}'?" if near else EXPECTED
        what = f"module {module_name!r} cannot be imported: {type(error).__name__}: {reason(error)}"
        raise InputError(f"model {source!r}: {what}; {hint}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [name for name, value in vars(module).items() if callable(value) and name[0] != "_"]
        raise InputError(
            f"model {source!r}: module {module_name!r} has no function {function_name!r}; "
            f"{nearest(function_name, known)}"
        )
    try:
        model = function()
    except Exception as error:
        said = f"{type(error).__name__}: {reason(error)}"
        raise InputError(f"model {source!r}: the function raised {said}; {EXPECTED}") from error
    if not isinstance(model, nn.Module):
        found = printable(type(model).__name__, 80)
        raise InputError(f"model {source!r}: the function returned a {found}; {EXPECTED}")
    return model
