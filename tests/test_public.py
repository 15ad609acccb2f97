"""The public interface: what `from zooter_core import ...` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import zooter_core


def test_importing_the_package_loads_none_of_its_rooms():
    code = "import sys, zooter_core; print([name for name in sys.modules if name.startswith('zooter_core.')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_every_public_name_is_there_and_documented():
    for name in zooter_core.__all__:
        assert getattr(zooter_core, name).__name__ == name
        assert name in dir(zooter_core)
        assert getattr(zooter_core, name).__doc__
