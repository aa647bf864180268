"""Who may import whom: rooms lie in layers, and imports go down only (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "vl3"

LAYERS = {
    "errors": 0,
    "config": 0,
    "log": 0,
    "heap": 0,
    "lines": 0,
    "chat": 0,
    "media": 1,
    "model": 1,
    "processing": 2,
    "remote": 2,
    "weights": 3,
    "data": 3,
    "generate": 3,
    "train": 4,
    "eval": 4,
    "serve": 4,
    "ui": 4,
    "curate": 4,
    "bulk": 4,
    "cli": 5,
}
SIDEWAYS = {("generate", "weights"), *((room, room) for room in LAYERS)}
"""Imports inside one layer that are allowed."""
PLUMBING = {"errors", "config", "log", "chat"}
LAYER_0_MAY_IMPORT = {"yaml", "pydantic", "vl3"}
NEVER = {
    "model": {"PIL", "transformers", "yaml", "tokenizers", "av"},
    "media": {"torch"},
    "processing": {"av", "PIL"},
    "remote": {"torch"},
}
CLI_AT_THE_TOP = {"click", "vl3"}


def imports(tree: ast.AST, top_only: bool = False) -> Iterator[str]:
    """Dotted names of what a module imports; with top_only, without what functions and type checkers import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif top_only and (isinstance(node, ast.FunctionDef) or "TYPE_CHECKING" in ast.dump(node)[:60]):
            continue
        else:
            yield from imports(node, top_only)


def violations(room: str, source: str) -> list[str]:
    """What a module of `room` imports but must not."""
    found = []
    tree = ast.parse(source)
    standard = __import__("sys").stdlib_module_names
    for name in imports(tree):
        package, *rest = name.split(".")
        if package == "vl3":
            other = rest[0] if rest else ""
            if other in LAYERS and LAYERS[other] >= LAYERS[room] and (room, other) not in SIDEWAYS:
                if LAYERS[room] == 0 == LAYERS[other]:
                    continue
                found.append(f"{room} imports {name}")
        elif package in NEVER.get(room, ()) or (
            LAYERS[room] == 0 and package not in standard and package not in LAYER_0_MAY_IMPORT
        ):
            found.append(f"{room} imports {name}")
    if room == "cli":
        for name in imports(tree, top_only=True):
            package, *rest = name.split(".")
            if package == "vl3" and rest and rest[0] in LAYERS and rest[0] not in PLUMBING | {"cli"}:
                found.append(f"cli imports {name} before its verb is called")
            if package not in standard and package not in CLI_AT_THE_TOP:
                found.append(f"cli imports {name} before its verb is called")
    return found


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem in LAYERS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_only(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert violations(room, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("model", "from vl3.processing import patchify"),
        ("model", "import PIL.Image"),
        ("config", "import torch"),
        ("data", "def f():\n    from vl3.weights import load_checkpoint"),
        ("train", "from vl3.eval import tasks"),
        ("ui", "from vl3.serve.app import create_app"),
        ("media", "import torch"),
        ("weights", "from vl3.generate import load"),
        ("cli", "import torch"),
        ("cli", "from vl3.generate import load"),
    ],
)
def test_the_rule_catches_what_it_should(room: str, source: str) -> None:
    assert violations(room, source)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("generate", "from vl3.weights import load_checkpoint"),
        ("cli", "def command():\n    from vl3.generate import load"),
        ("chat", "from vl3.errors import UserError"),
        ("train", "from vl3.data import DataConfig"),
    ],
)
def test_the_rule_allows_what_it_should(room: str, source: str) -> None:
    assert violations(room, source) == []
