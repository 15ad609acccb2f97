"""schemathesis against the endpoint's own OpenAPI description: no 5xx, and every answer as described."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from zooter_core.serve.keys import Key, add_key

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("ZOOTER_CLIENTS") or ROOT / ".clients") / "bin" / "schemathesis"
EXAMPLES = os.environ.get("ZOOTER_SCHEMATHESIS", "25")  # of each route and phase
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.skipif(not PROGRAM.exists(), reason="no schemathesis in .clients: run `make clients`")
def test_schemathesis_finds_no_fault(serve, tmp_path):
    """With an admin's key, so that every route is reached: feedback, metrics and reload too."""
    key = add_key(tmp_path / "keys.json", Key("admin", "", 0.0, admin=True))
    endpoint = serve("good", "good", options={"keys": tmp_path / "keys.json"})
    command = [str(PROGRAM), "run", f"{endpoint.url}/openapi.json", "--checks", CHECKS, "--max-examples", EXAMPLES]
    command += ["--header", f"Authorization: Bearer {key}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False)
    print(ended.stdout[-1500:])  # with `pytest -rP`: how much was tried
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert endpoint.client.get("/metrics", headers={"authorization": f"Bearer {key}"}).status_code == 200
