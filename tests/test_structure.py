"""Who may import whom, how long files and functions are, and which names say nothing.

A room imports from the rooms below it; ROOMS is the whole rule.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "zooter_core"

# From the top down. Rooms of one line do not import each other.
ROOMS = (
    ("cli", "ui"),
    ("serve",),
    ("learn",),
    ("pipeline",),
    ("evaluation",),
    ("fleet",),
    ("router",),
    ("labelling",),
    ("backends",),
    ("data",),
    ("config",),
    ("method", "arithmetic"),
    ("base",),
)
DEPTH = {room: depth for depth, rooms in enumerate(ROOMS) for room in rooms}
PURE = "method"  # numpy alone, no input or output
# Whole rooms, and some modules of others, that load neither PyTorch nor the libraries on top of it.
LIGHT_ROOMS = {room for rooms in ROOMS[ROOMS.index(("data",)) :] for room in rooms}
LIGHT = (
    "cli.main",
    "evaluation.figures",
    "evaluation.sandbox",
    "evaluation.verified",
    "fleet.reward_graph",
    "fleet.models",
    "pipeline.on_ray",  # each actor would spend seconds on it, also where it only scores or tags through an endpoint
    "pipeline.plan",
    "pipeline.train",
    "router.encoder",
    "router.head",
    "router.kinds",
    "router.router",
    "serve.run",
)
# The modules that load PyTorch or transformers when they are imported: the base package has neither.
ON_TORCH = {
    "backends.local.batch", "backends.local.checkpoint", "backends.local.decoding", "backends.local.model",
    "backends.local.transformers", "labelling.rewards.architectures",
    "labelling.rewards.pairwise", "labelling.rewards.scalar", "router.finetune",
}  # fmt: skip
HEAVY = ("torch", "transformers", "streamlit")

FOLDERS = ("zooter_core", "recipes", "benchmarks", "pages")
NAMED_FOLDERS = (*FOLDERS, "tests")
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
FILE_LINES, FUNCTION_LINES = 500, 60
MANY_OPTIONS = 8
# They do not say what a thing is. `found` is a field of errors, and an argument beside `next_step`.
EMPTY_NAMES = {
    "asked", "both", "each", "found", "given", "got", "held", "kept", "known", "made", "own", "said", "seen", "some",
    "there", "told", "well", "whole", "work",
}  # fmt: skip
EMPTY_ON_PURPOSE = {  # with the reason
    "zooter_core/base/errors.py:found": "one of the three fields of an error, in its messages and its JSON",
}


def room_of(path: Path) -> str:
    """The room that a file of zooter_core is in; "" for the package itself."""
    return path.relative_to(CORE).with_suffix("").parts[0].replace("__init__", "")


@cache
def nodes(path: Path) -> list[ast.AST]:
    """The syntax tree of a file, parsed once for all rules."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def imports(path: Path) -> set[str]:
    """The full names that a file imports, wherever in it: `from a import b` is `a.b`."""
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively in line {node.lineno}"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def rooms_used(path: Path) -> set[str]:
    parts = [name.split(".") for name in imports(path)]
    return {part[1] for part in parts if part[0] == "zooter_core" and part[1] in DEPTH}


FILES = sorted(CORE.rglob("*.py"))


def test_every_file_is_in_a_room():
    assert {room_of(path) for path in FILES} == {"", *DEPTH}


def not_below(path: Path) -> list[str]:
    """The rooms that a file imports from and that are not below its own."""
    room = room_of(path)
    if not room:  # the public interface: test_public.py sees that it imports a room only when it is asked for one
        return []
    return sorted(other for other in rooms_used(path) if other != room and DEPTH[other] <= DEPTH[room])


def test_imports_point_down():
    assert {below_root(path): rooms for path in FILES if (rooms := not_below(path))} == {}


def files_imported(path: Path) -> set[Path]:
    """The files of zooter_core that a file imports from, wherever in it, but for types alone."""
    types = {line for node in nodes(path) if is_for_types(node) for line in range(node.lineno, node.end_lineno + 1)}
    files = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module and node.lineno not in types:
            place = ROOT / node.module.replace(".", "/")
            for name in (place / alias.name for alias in node.names):
                files.update(file for file in (name.with_suffix(".py"), place.with_suffix(".py")) if file in FILES)
    return files


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_no_files_import_each_other_in_a_circle():
    graphlib.TopologicalSorter({path: files_imported(path) for path in FILES}).prepare()


def test_imports_are_seen_where_they_are():
    assert CORE / "data" / "scores.py" in files_imported(CORE / "router" / "encoder.py")  # inside a function
    assert {"backends", "base", "router"} <= rooms_used(CORE / "fleet" / "ensemble.py")  # both forms, at the top
    assert "torch" in imports(CORE / "base" / "weights.py")  # inside a function


def test_only_app_pages_and_ui_know_streamlit():
    folders = ("zooter_core", "pages", "recipes")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")] + [ROOT / "app.py"]
    users = {path for path in files if any(name.split(".")[0] == "streamlit" for name in imports(path))}
    allowed = ("app.py", "pages/", "zooter_core/ui/")
    others = [name for path in users if not (name := path.relative_to(ROOT).as_posix()).startswith(allowed)]
    assert not others


def test_the_method_uses_numpy_alone():
    plain = {
        "__future__", "array", "collections", "dataclasses", "functools", "hashlib", "math", "statistics", "typing",
        "warnings",
    }  # fmt: skip
    for path in sorted((CORE / PURE).glob("*.py")):
        roots = {name.split(".")[0] for name in imports(path)}
        assert roots <= plain | {"numpy", "zooter_core"}, path
        called = {node.id for node in nodes(path) if isinstance(node, ast.Name)}
        assert not called & {"open", "print", "input", "exec", "eval", "__import__"}, path


def test_light_modules_load_nothing_heavy():
    rooms = [path for path in FILES if room_of(path) in LIGHT_ROOMS and path.stem != "__init__"]
    names = [".".join(path.relative_to(CORE).with_suffix("").parts) for path in rooms]
    code = "\n".join(
        [
            "import importlib, sys",
            f"for name in {(*names, *LIGHT)!r}: importlib.import_module('zooter_core.' + name)",
            f"print([name for name in {HEAVY!r} if name in sys.modules])",
        ]
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip() == "[]"


def test_all_other_modules_need_neither_pytorch_nor_transformers():
    paths = [path for path in FILES if path.stem != "__init__" and room_of(path) != "ui"]
    names = [".".join(path.relative_to(CORE).with_suffix("").parts) for path in paths]
    code = f"""
import importlib, sys
sys.modules.update(dict.fromkeys(("torch", "transformers", "peft", "accelerate")))
for name in {names!r}:
    try:
        importlib.import_module("zooter_core." + name)
    except ModuleNotFoundError:
        print(name)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(ended.stdout.split()) == ON_TORCH


OURS = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def below_root(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_are_short():
    lines = {below_root(path): len(path.read_text(encoding="utf-8").splitlines()) for path in OURS}
    assert {path: count for path, count in lines.items() if count > FILE_LINES} == {}


def test_functions_are_short():
    functions = [(path, node) for path in OURS for node in nodes(path) if isinstance(node, FUNCTION)]
    lines = {f"{below_root(path)}:{node.name}": length(node) for path, node in functions}
    assert {name: count for name, count in lines.items() if count > FUNCTION_LINES} == {}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function, without its docstring; of one that takes many options (a command), those of the body."""
    first, *rest = function.body
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    body = (rest or [first])[0] if documented else first
    signature = body.lineno - function.lineno - (first.end_lineno - first.lineno + 1 if documented and rest else 0)
    options = len(function.args.args) + len(function.args.kwonlyargs)
    return function.end_lineno - body.lineno + 1 + (signature if options <= MANY_OPTIONS else 0)


def test_names_say_what_they_name():
    files = [path for folder in NAMED_FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))] + [ROOT / "app.py"]
    names = ((path, name) for path in files for node in nodes(path) for name in names_of(node))
    assert {f"{below_root(path)}:{name}" for path, name in names if name in EMPTY_NAMES} == set(EMPTY_ON_PURPOSE)


def names_of(node: ast.AST) -> list[str]:
    """The names that a node gives, without underscores around them."""
    names: list[str] = []
    if isinstance(node, FUNCTION | ast.Lambda):
        arguments = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
        names = sorted(arguments - ({"found"} if "next_step" in arguments else set()))
    if isinstance(node, FUNCTION | ast.ClassDef):
        names.append(node.name)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        names.append(node.id)
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        names.append(node.attr)
    return [name.strip("_").lower() for name in names]
