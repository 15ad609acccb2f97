"""The number of threads from a container's quota."""

from __future__ import annotations

import os

import psutil
import pytest

from zooter_core.base import cores as cores_module
from zooter_core.base.cores import cores, free_cores, one_thread

HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        *(({"cpu.max": f"{quota} 100000\n"}, 1) for quota in (150_000, 50_000)),
        *(({"cpu.max": f"{quota} 100000\n"}, HERE) for quota in (9_900_000, "max")),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, HERE),
        ({}, HERE),
    ],
    ids=str,
)
def test_the_quota_of_either_version_of_cgroups(tmp_path, files, expected):
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert cores(tmp_path) == expected


@pytest.mark.parametrize(
    ("busy", "here", "load", "expected"),
    [
        (10.0, 0.0, HERE, HERE),  # only before
        (100.0, 0.0, HERE, 1),
        (100.0, 0.0, 0.1, HERE),  # only now
        (100.0, cores_module.SAMPLE * HERE, HERE, HERE),
    ],
)
def test_cores_that_other_processes_use_are_left_to_them(monkeypatch, busy, here, load, expected):
    """`busy` is a percentage of all cores now, `here` the seconds of it that this process takes."""
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    seconds = iter([5.0, 5.0 + here])
    monkeypatch.setattr(psutil.Process, "cpu_times", lambda self: (next(seconds), 0.0))
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: busy)
    monkeypatch.setattr(os, "cpu_count", lambda: HERE)
    monkeypatch.setattr(cores_module, "cores", lambda: HERE)  # as without a quota
    assert free_cores() == expected


def test_numpy_multiplies_in_one_thread_and_then_as_before():
    library = cores_module._openblas()
    if library is None:
        pytest.skip("numpy uses another library than OpenBLAS")
    before = library.scipy_openblas_get_num_threads64_()
    with one_thread():
        assert library.scipy_openblas_get_num_threads64_() == 1
    assert library.scipy_openblas_get_num_threads64_() == before
