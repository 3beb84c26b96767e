"""What imports what: no circle, and in the library no arrow up, as CONTRIBUTING draws it."""

import ast
from graphlib import TopologicalSorter

from tests.conftest import ROOT

BELOW = {
    "palcore.files": set(),
    "palcore": {"palcore.files"},
    "palcore.data": {"palcore.files", "palcore"},
    "palcore.runs": {"palcore.files", "palcore", "palcore.data"},
    "palcore.__main__": {"palcore.files", "palcore.data", "palcore.runs"},
    "study": {"palcore.files", "palcore", "palcore.data", "palcore.runs", "palcore.__main__"},
}
"""From the bottom to the top: each part, and the parts below that it may import. ``palcore`` is the method."""

PLACES = {"palcore.progress": "palcore.files", "palcore.options": "palcore.runs", "palcore.training": "palcore.runs"}
"""Modules that belong to another part than the folder they lie in: a bar beside files, and the public names of runs."""

WITHOUT_KERAS = {"palcore.landmarks"}
"""What the data sets may take from the method: the names of the landmarks' regions."""


def imports():
    """``{module: modules of this repository that it imports}``, those within functions too."""
    edges = {}
    for path in [*ROOT.glob("palcore/**/*.py"), *ROOT.glob("study/**/*.py")]:
        name, edges_of = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), set()
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{each}" for each in names)]
            edges_of |= {each for each in names if (ROOT / f"{each.replace('.', '/')}.py").exists()}
        edges[name] = edges_of
    return edges


def part_of(module):
    parts = sorted(BELOW, key=len, reverse=True)
    return PLACES.get(module) or next(part for part in parts if f"{module}.".startswith(f"{part}."))


def test_nothing_imports_in_a_circle_or_from_above():
    edges = imports()
    assert len(edges) > 80 and "palcore.losses" in edges["palcore.models"] | edges["palcore.soundness"]
    list(TopologicalSorter(edges).static_order())  # raises CycleError, which names the circle
    for module, below in edges.items():
        for other in below:
            here, there = part_of(module), part_of(other)
            assert here == there or there in BELOW[here], f"{module} imports {other}, from {here} to {there}"
            if (here, there) == ("palcore.data", "palcore"):
                assert other in WITHOUT_KERAS, f"{module} imports {other}: data sets are read without the method"
