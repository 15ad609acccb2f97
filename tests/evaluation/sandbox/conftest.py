from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from support.sandboxes import Ordinary, ThisUser


@pytest.fixture(scope="session")
def ordinary() -> Iterator[Ordinary]:
    """The sandbox of an ordinary user, beside that of root."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user: `own` is one")
    account = Ordinary()
    yield account
    account.close()


@pytest.fixture(scope="session")
def allowed() -> None:
    """For tests that need a sandbox, whoever starts it."""
    try:
        subprocess.run(["bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"], check=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        pytest.skip(f"this system has no bubblewrap, or no user namespaces for it: {problem}")


@pytest.fixture(params=["own", "ordinary"])
def account(request: pytest.FixtureRequest, allowed: None) -> ThisUser:
    """Who starts the sandbox: this user, which is root in the project's own tests, and an ordinary one."""
    return ThisUser() if request.param == "own" else request.getfixturevalue("ordinary")
