"""What CI runs on a pull request: the touched submissions are checked with the base branch's pools, then shown beside
the references."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from prm_eval.leaderboard import build
from prm_eval.submissions import registered_pools
from tests import warm
from tests.conftest import ROOT
from tests.leaderboard.board import add_submission, edit_json

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

SCRIPT = ROOT / ".github" / "check_touched.sh"
# the checks themselves, and a board that is made at once: tests of what a check finds need none
CHECKS = """#!/bin/sh
[ "$1" = leaderboard ] && {{ mkdir -p "$4"; touch "$4/leaderboard.md"; exit 0; }}
exec "{warm}" "$@"
"""
# nothing at all: what the script itself decides
NOTHING = CHECKS.format(warm="").replace("exec", "exit 0; exec")


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory):
    with warm.program(tmp_path_factory.mktemp("warm")) as program:
        yield CHECKS.format(warm=program)


def git(folder: Path, *command: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *command], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def request_(tmp_path: Path):
    """(checkout of the base branch, checkout of the request, its commit): as the workflow has them."""
    base, head = tmp_path / "base", tmp_path / "head"
    base.mkdir()
    # the small pool alone: one of 22,400 candidates would be read again in every test
    shutil.copytree(ROOT / "results", base / "results", ignore=shutil.ignore_patterns("miniature*"))
    git(base, "init", "-q", "-b", "main")
    git(base, "add", "-A")
    git(base, "commit", "-qm", "base")
    git(tmp_path, "clone", "-q", str(base), str(head))
    return base, head, git(base, "rev-parse", "HEAD")


def run(
    base: Path, head: Path, commit: str, tmp_path: Path, command: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    program = tmp_path / "prm-eval"
    program.write_text(command or f'#!/bin/sh\nexec "{sys.executable}" -m prm_eval.cli "$@"\n')
    program.chmod(0o755)
    git(head, "add", "-A")
    git(head, "commit", "-qm", "request")
    environment = {**os.environ, "PRM_EVAL": str(program), "PYTHONPATH": str(ROOT), **environ}
    return subprocess.run(
        ["bash", str(SCRIPT), str(base), str(head), commit],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def submit(head: Path, name: str) -> Path:
    from prm_eval.rewards.models.rules import ArithmeticPRM

    class Mine(ArithmeticPRM):
        def describe(self):
            return {"id": name, "revision": "0" * 40}

        def score(self, items):  # rewards of its own: those of another are a copy
            factor = 0.5 + len(name) / 100
            return [
                replace(each, values=tuple(factor * value for value in each.values)) for each in super().score(items)
            ]

    pool = registered_pools(head / "results")["demo-35x8"].pool
    return add_submission(head / "results", pool, Mine(aggregation="min"), name)


@pytest.mark.slow
def test_a_new_row_stands_beside_the_references(request_, tmp_path) -> None:
    """The reviewer sees the figures of the new row, recomputed, with those everybody knows."""
    base, head, commit = request_
    submit(head, "new-org/new-model")
    done = run(base, head, commit, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in order" in done.stdout
    build(head / "results")
    board = (head / "results" / "leaderboard" / "leaderboard.md").read_text()
    for name in ("new-org/new-model", r"prm\_eval/arithmetic", r"prm\_eval/boxed-support"):
        assert name in board
    assert board in done.stdout  # the board's own tables: same n, same ranks


@pytest.mark.slow
def test_what_the_board_cannot_show_fails_the_check(request_, tmp_path) -> None:
    """A folder can be in order for the checker and still keep the board from being built: found before it is merged."""
    base, head, commit = request_
    folder = submit(head, "new-org/good")
    broken = "#!/bin/sh\n[ $1 = leaderboard ] && { echo 'Traceback: boom' >&2; exit 1; }\necho in order\n"
    done = run(base, head, commit, tmp_path, command=broken)
    assert done.returncode == 1 and "the board cannot be built" in done.stdout and "boom" in done.stdout
    place = folder.relative_to(head / "results")
    script = f"mkdir -p $4; touch $4/leaderboard.md; echo 'left out: {place}: why' >&2"
    leaving = f"#!/bin/sh\n[ $1 = leaderboard ] && {{ {script}; exit 0; }}\necho in order\n"
    (head / "again").touch()
    done = run(base, head, commit, tmp_path, command=leaving)
    assert done.returncode == 1 and f"left out: {place}: why" in done.stdout


@pytest.mark.slow
def test_the_checkouts_are_left_as_they_were(request_, tmp_path, checks) -> None:
    """A check that edits what it checks can be made to check something else."""
    base, head, commit = request_
    submit(head, "new-org/good")
    assert "in order" in run(base, head, commit, tmp_path, checks).stdout
    assert git(head, "status", "--porcelain") == git(base, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_request_that_links_is_refused(request_, tmp_path, checks) -> None:
    """A link in the place of a folder would show the files of the machine that checks."""
    base, head, commit = request_
    folder = submit(head, "new-org/good")
    shutil.copytree(folder, tmp_path / "aside")
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path / "aside")
    done = run(base, head, commit, tmp_path, checks)
    assert done.returncode == 1 and "[path]" in done.stdout, done.stdout


@pytest.mark.slow
def test_a_fault_fails_the_check_and_a_request_cannot_bring_its_pool(request_, tmp_path, checks) -> None:
    """A request that edits the pool it is checked against would pass with any rewards."""
    base, head, commit = request_
    good, bad = submit(head, "new-org/good"), submit(head, "new-org/bad")
    edit_json(bad / "submission.json", disclosure=None)
    (head / "results" / "pools" / "demo-35x8.json").write_text("{}")
    done = run(base, head, commit, tmp_path, checks)
    assert done.returncode == 1
    assert "[disclosure]" in done.stdout and "for a maintainer to look at: results/pools/demo-35x8.json" in done.stdout
    assert f"{good.relative_to(head)}: in order" in done.stdout


@pytest.mark.slow
def test_only_a_maintainer_brings_a_verification(request_, tmp_path, checks) -> None:
    """Whoever could write his own verification.json would give himself the highest tier."""
    base, head, commit = request_
    own = head / "results" / "submissions" / "prm_eval__arithmetic" / "rule-1" / "demo-35x8"
    edit_json(own / "verification.json", verified_by="somebody else")
    done = run(base, head, commit, tmp_path, checks)
    assert done.returncode == 1 and "[verification-own]" in done.stdout
    edit_json(own / "verification.json", verified_by="a maintainer")
    done = run(base, head, commit, tmp_path, checks, FROM="maintainer")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_file_between_the_folders_fails_the_check(request_, tmp_path) -> None:
    """What no check looks at must not come in beside what is checked."""
    base, head, commit = request_
    submit(head, "new-org/good")
    (head / "results" / "submissions" / "new-org__good" / "run.sh").write_text("x")
    done = run(base, head, commit, tmp_path, NOTHING)
    assert done.returncode == 1 and "no file of a submission" in done.stdout


@pytest.mark.slow
def test_copies_and_names_are_compared_with_what_is_there(request_, tmp_path, checks) -> None:
    """A single folder can be in order and still be another's rewards, or another's name with a capital letter."""
    base, head, commit = request_
    submit(head, "new-org/good")
    there = next((head / "results" / "submissions" / "prm_eval__arithmetic").glob("*/demo-35x8")) / "rewards.parquet"
    copy = submit(head, "new-org/copy")
    shutil.copyfile(there, copy / "rewards.parquet")
    edit_json(copy / "submission.json", aggregation="prod")
    submit(head, "New-Org/good")
    submit(head, "prm_eva1/other")
    done = run(base, head, commit, tmp_path, checks)
    assert done.returncode == 1 and "[name]" in done.stdout and "[copy]" in done.stdout
    assert "looks like 'new-org'" in done.stdout and "looks like 'prm_eval'" in done.stdout


@pytest.mark.slow
def test_a_changed_board_is_for_a_maintainer(request_, tmp_path) -> None:
    """Figures are computed here; nobody sends any."""
    base, head, commit = request_
    page = head / "results" / "leaderboard" / "leaderboard.md"
    page.write_text(page.read_text() + "| mine | 1 |")
    assert run(base, head, commit, tmp_path, NOTHING).returncode == 1


def test_the_workflow_runs_no_code_of_the_request() -> None:
    """The request's checkout is data: installing from it would run a stranger's code with the workflow's rights."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "check-submissions.yml").read_text())
    steps = workflow["jobs"]["check"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert any("pip install" in command and command.endswith("./base") for command in commands)
    assert not any("head/" in command for command in commands)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow[True] == {"pull_request": {"paths": ["results/**"]}}  # YAML reads "on" as true
