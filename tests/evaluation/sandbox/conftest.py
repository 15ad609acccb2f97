from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.sandbox_accounts import Ordinary, ThisUser

ALLOWED = sys.platform == "linux" and not subprocess.run(["unshare", "-Urmpf", "true"], capture_output=True).returncode


@pytest.fixture(scope="session")
def ordinary() -> Iterator[Ordinary]:
    """The sandbox of an ordinary user, beside that of root."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user: `own` is one")
    account = Ordinary()
    yield account
    account.close()


@pytest.fixture
def allowed() -> None:
    """For tests that need a sandbox, whoever starts it."""
    if not ALLOWED:
        pytest.skip("this system allows no user namespaces")


@pytest.fixture(params=["own", "ordinary"])
def account(request: pytest.FixtureRequest, allowed: None) -> ThisUser | Ordinary:
    """Who starts the sandbox: this user, which is root in the project's own tests, and an ordinary one."""
    return ThisUser() if request.param == "own" else request.getfixturevalue("ordinary")
