"""Devices and what shuts them down: read out of a running kernel's memory, beside what its sysfs tells."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest

from support.journey import kernel_file, travel
from warmboot.risks.drivers import drivers

pytestmark = pytest.mark.needs_qemu

_SCRIPT = """\
for device in /sys/bus/*/devices/*; do
    bus=${device#/sys/bus/}
    driver=$(readlink "$device/driver"); module=$(readlink "$device/driver/module")
    say ": sysfs|${bus%%/*}|${device##*/}|${driver##*/}|${module##*/}"
done
try warmboot dump devices --json /proc/kcore
try warmboot risks --command-line quiet
try warmboot risks --command-line console=ttyS0 --json
"""
_MORE = ("-device", "virtio-rng-pci", "-device", "i6300esb")


@cache
def told(series: str) -> tuple[set[tuple[str, ...]], dict[str, Any], list[str], dict[str, Any]]:
    """By sysfs, by the kernel's memory, the risks as lines, and as JSON."""
    journey = travel(kernel_file(series), [_SCRIPT], {}, more=_MORE)
    hop = journey.hops[0]
    assert hop.statuses == [0, 0, 0], journey.last_words()
    sysfs = {tuple(line.split("|")[1:]) for line in hop.lines if line.startswith("sysfs|")}
    devices, risks = (json.loads(each) for each in re.findall(r"^\{\n.*?^\}$", hop.text, re.MULTILINE | re.DOTALL))
    words = [line for line in hop.lines if re.match(r"(likely|possible) ", line)]
    return sysfs, devices, words, risks


@pytest.mark.parametrize("series", ["6.1", "7.2"])
def test_they_are_those_of_sysfs(series: str) -> None:
    sysfs, found, *_ = told(series)
    assert found["problems"] == []
    modules = {name: module for _, _, name, module in sysfs if module}
    assert {(each["bus"], each["name"], each["driver"] or "") for each in found["devices"]} == {
        (bus, name, driver) for bus, name, driver, _ in sysfs
    }
    assert all(modules.get(each["driver"]) for each in found["devices"] if each["module"] is not None)


@pytest.mark.parametrize("series", ["6.1", "7.2"])
def test_what_shuts_them_down(series: str) -> None:
    """By the kernels' sources: nvme and i8042 have a method, virtio-pci got one in 6.15."""
    devices = told(series)[1]["devices"]
    by = {each["driver"]: each["shut_down_by"] for each in devices if each["driver"]}
    assert by["nvme"] == "nvme_shutdown"
    assert by["i8042"] == "i8042_shutdown"
    assert by["serial8250"] is None
    [disk] = [each for each in devices if each["driver"] == "nvme"]
    assert disk["bus_master"] is True


@pytest.mark.parametrize("series", ["6.1", "7.2"])
def test_the_risks_are_what_nothing_shuts_down(series: str) -> None:
    _, found, words, risks = told(series)
    left = {each["name"] for each in found["devices"] if each["bus_master"] and each["shut_down_by"] is None}
    assert [each["rule"] for each in risks["risks"]] == ["device_left_on"] * len(left)
    assert all(any(name in each["seen"] for each in risks["risks"]) for name in left)
    assert risks["devices"] == len(found["devices"])
    assert len(words) == len(left) + 1
    assert words[0].startswith("likely"), "the running kernel writes to ttyS0"
    assert "no_console" in words[0]


@pytest.mark.parametrize("series", ["6.1", "7.2"])
def test_the_table_says_the_same(series: str) -> None:
    """What modules' files tell of a driver is what the kernel that loaded it has in memory."""
    devices = told(series)[1]["devices"]
    known = {each["driver"]: each for each in devices if each["bus"] == "pci" and each["driver"] in drivers()}
    assert {"nvme", "i6300ESB timer"} & {*known}
    for name, each in known.items():
        of_table = drivers()[name].known(f"{series}.0")
        assert of_table is not None or each["module"] is None
        assert of_table is None or of_table.lacks == (each["shut_down_by"] is None), name
