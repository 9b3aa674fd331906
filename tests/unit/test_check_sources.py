"""The check that no file names a package registry finds one, and nothing else."""

from __future__ import annotations

from pathlib import Path

import check_sources
import pytest

HTTPS = "https:" + "//"  # apart, so that this file isn't found itself


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("index = https://registry.example.net/simple", ["names a package registry's host"]),
        ("See files.REGISTRY.example.net.", ["names a package registry's host"]),
        (f"x @ {HTTPS}packages.test/a/x-1.0-py3-none-any.whl", ["has the address of a package's file"]),
        (f"{HTTPS}packages.test/x-1.0.tar.gz#sha256=0", ["has the address of a package's file"]),
        ("https://example.com/x.whl, https://www.example.com/x.tar.gz", []),
        ("https://packages.test/wheels and x.whl", []),
    ],
)
def test_a_registry_is_found_in_any_file(tmp_path: Path, line: str, found: list[str]) -> None:
    """It is found by its host in any case, by a subdomain, or by an address that only a registry has."""
    path = tmp_path / "file"
    path.write_text(f"first\n{line}\n")
    faults = check_sources.find_registries([path], ["registry.example.net"])
    assert list(faults) == [f"{path}:2: {text}" for text in found]


def test_the_default_host_is_known_from_pips_help() -> None:
    """Without that host the check would find nothing."""
    (host,) = check_sources.find_default_hosts()
    assert "." in host and "/" not in host


def test_a_mirror_of_this_machine_counts_by_its_name() -> None:
    """A mirror that is an address is ignored, as the address doesn't identify it."""
    environ = {"PIP_INDEX_URL": "https://user:pass@mirror.acme.test/simple", "UV_INDEX_URL": "http://127.0.0.1:3141"}
    assert list(check_sources.find_own_hosts(environ)) == ["mirror.acme.test"]
