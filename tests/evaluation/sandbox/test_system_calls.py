from __future__ import annotations

import re
from pathlib import Path

import pytest

from zooter_core.evaluation.sandbox.kernel import MACHINES, MOUNT_SETATTR, PIVOT_ROOT
from zooter_core.evaluation.sandbox.system_calls import NEW, NEW_ALLOWED, REFUSED, program

# The kernel's own tables, where its headers are installed. aarch64 uses the generic one.
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_the_kernel_s(machine):
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    text = HEADERS[machine].read_text()
    table = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", text)}
    column = MACHINES.index(machine)
    ours = {name: numbers[column] for name, numbers in REFUSED.items()} | NEW_ALLOWED
    ours |= {"pivot_root": PIVOT_ROOT[machine], "mount_setattr": MOUNT_SETATTR}
    assert {name: number for name, number in ours.items() if number != table.get(name)} == {}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_one_that_the_kernel_takes(machine):
    """8 bytes an instruction, at most 4096 of them, and the last one returns."""
    code = program(machine)
    assert len(code) % 8 == 0
    assert 8 < len(code) < 8 * 4096
    assert code[-8] == 0x06
    assert all(number < NEW for numbers in REFUSED.values() for number in numbers if number is not None)
