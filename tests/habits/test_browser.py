"""The script that brings Chromium: if it failed a run, or installed beside a browser that is there, nobody could run the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.leaderboard import test_leaderboard_page as page

SCRIPT = ROOT / ".ci" / "browser"


def machine(folder: Path, *, user: int, browser: str | None, apt: int | None) -> dict[str, str]:
    """A path with the few programs of one kind of machine; its apt-get writes down how it was called and exits with ``apt``."""
    tools = folder / "bin"
    tools.mkdir()
    for tool in ("bash", "timeout"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    fakes = {"id": f"echo {user}"}
    if browser:
        fakes[browser] = "exit 0"
    if apt is not None:
        fakes["apt-get"] = f'echo "$*" >> {folder}/calls; exit {apt}'
    for name, body in fakes.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    return {"PATH": str(tools)}


@pytest.mark.parametrize(
    "user, browser, apt, calls, said",
    [
        (0, "chromium", 0, 0, ""),
        (0, "google-chrome", 0, 0, ""),
        (1000, "chromium-browser", None, 0, ""),
        (0, None, 0, 1, "installing"),
        (0, None, 100, 2, "could not install it"),
        (1000, None, 0, 0, "sudo apt-get install chromium"),
        (1000, None, None, 0, "not Debian"),
    ],
    ids=["there", "chrome", "not root, there", "installs", "apt fails", "not root", "no apt"],
)
def test_it_installs_only_where_it_must_and_may(tmp_path, user, browser, apt, calls, said) -> None:
    """Every kind of machine: exit status 0 always, apt-get only as root where no browser is, and a line that says what to do."""
    environment = machine(tmp_path, user=user, browser=browser, apt=apt)
    bash = str(shutil.which("bash"))
    done = subprocess.run([bash, str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)
    log = tmp_path / "calls"
    assert done.returncode == 0
    # a failed installation is one call with the old lists and one that updates them
    assert len(log.read_text().splitlines() if log.exists() else []) == calls
    assert said in done.stderr if said else not done.stderr


def test_the_script_knows_the_names_that_the_page_tests_look_for() -> None:
    """A browser under a name that only one of them knows would be installed twice, or never driven."""
    names = " ".join(page.BROWSERS)
    assert f"for name in {names}; do" in SCRIPT.read_text()
    assert os.access(SCRIPT, os.X_OK)
