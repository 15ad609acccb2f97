"""The number of threads from a container's quota."""

from __future__ import annotations

import os

import pytest

from zooter_core.cores import cores, free_cores

HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("100000 100000", 1), ("150000 100000", 1), ("50000 100000", 1), ("9900000 100000", HERE), ("max 100000", HERE)],
)
def test_a_quota_of_cgroup_2(tmp_path, quota, expected):
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert cores(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("100000", 1), ("-1", HERE)])
def test_a_quota_of_cgroup_1(tmp_path, quota, expected):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cores(tmp_path) == expected


@pytest.mark.parametrize(("load", "expected"), [(0.2, HERE), (HERE - 1.0, 1), (40.0, 1)])
def test_busy_cores_are_left_to_others(tmp_path, monkeypatch, load, expected):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: HERE)
    assert free_cores(tmp_path) == expected


def test_no_cgroup(tmp_path):
    assert cores(tmp_path) == HERE
