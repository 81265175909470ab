"""Everything a run of the suite needs from pytest, in the order in which it is loaded."""

pytest_plugins = [
    f"geolip_theorems.plugin.{name}"
    for name in (
        "start",  # first: the others take seconds
        "options",
        "subjects",
        "analyses",
        "verdicts",
        "baseline",
        "results",
    )
]
