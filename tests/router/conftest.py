"""Routers here are on small vectors of all kinds."""

import pytest


@pytest.fixture(autouse=True)
def _profiles(profiles_of_any_encoder):
    """The kind `profile` too."""
