"""Settings of a pool from the environment of its host."""

from __future__ import annotations

import pytest

from stampede.errors import BadInput
from stampede.volumes.models import PoolSettings
from stampede.volumes.room import GIB
from stampede.volumes.settings import parse_size, pool_settings


def test_nothing_said_is_the_default() -> None:
    assert pool_settings({}) == pool_settings({"STAMPEDE_POOL_SIZE": ""}) == PoolSettings()


def test_all_of_it_can_be_said() -> None:
    said = {
        "STAMPEDE_POOL_DRIVER": "btrfs",
        "STAMPEDE_POOL_SIZE": "20G",
        "STAMPEDE_POOL_OVERCOMMIT": "1.5",
        "STAMPEDE_SNAPSHOT_RESERVE": "0",
    }
    assert pool_settings(said) == PoolSettings(driver="btrfs", size_bytes=20 * GIB, overcommit=1.5, snapshot_reserve=0)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STAMPEDE_POOL_DRIVER", "zfs"),
        ("STAMPEDE_POOL_OVERCOMMIT", "0.5"),
        ("STAMPEDE_POOL_OVERCOMMIT", "much"),
        ("STAMPEDE_SNAPSHOT_RESERVE", "-1"),
    ],
)
def test_what_makes_no_sense_is_named(variable: str, value: str) -> None:
    with pytest.raises(BadInput, match=f"{variable}={value}"):
        pool_settings({variable: value})


def test_sizes() -> None:
    assert [parse_size(text) for text in ("1024", "1K", "1.5 GiB", "2tb")] == [1024, 1024, 3 * GIB // 2, 2 << 40]
    for text in ("", "G", "-1G", "1X", "1e9"):
        with pytest.raises(BadInput):
            parse_size(text)
