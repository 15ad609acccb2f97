"""The router of a fleet of endpoints, without PyTorch in this process: exported once, by a process of its own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from zooter_core.config.fleet import RouterConfig
from zooter_core.errors import WorkError
from zooter_core.router.config import is_portable
from zooter_core.router.graph import missing
from zooter_core.weights import cache_dir, private_cache

FOLDER = "routers"  # in the cache folder


def light_router(config: RouterConfig, progress: Callable[[str], None]) -> Path:
    """The folder of a fleet's router in the form that loads without PyTorch.

    It is the fleet's own folder if that holds an exported router, or must be loaded with PyTorch: because fleet.toml
    says so (`runtime`), or because the extra `onnx` is not installed. Else it is in the cache folder.

    Raises:
        WorkError: the router cannot be exported.
    """
    folder = Path(config.path)
    if is_portable(folder) or config.runtime in ("torch", "int8") or missing():
        return folder
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    from filelock import FileLock

    private_cache()
    out = cache_dir() / FOLDER / digest.hexdigest()[:24]
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{out}.lock"):  # another server may start at the same time
        if not is_portable(out):
            progress("Exporting the router for ONNX Runtime, once ...")
            _export(folder, out)
    return out


def _export(folder: Path, out: Path) -> None:
    command = [sys.executable, "-m", "zooter_core.cli", "export", "onnx", "--router", str(folder), "--out", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        reason = ended.stderr.strip().splitlines()[-1:] or ["no message"]
        raise WorkError(
            f"an export of the router in {folder}", reason[0], 'Set runtime = "torch" in [router] of fleet.toml.'
        )
