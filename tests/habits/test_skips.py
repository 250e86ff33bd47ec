"""The list of skips. If it left one out, a machine without a browser, data or torch would seem to have checked everything."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.conftest import ROOT
from tests.skips import grouped, reason_of

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def reach_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs below start in a folder of their own and import the hook from here."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def report(nodeid: str, reason: str) -> SimpleNamespace:
    return SimpleNamespace(nodeid=nodeid, longrepr=("tests/x.py", 3, f"Skipped: {reason}"))


def test_reasons_are_counted_and_the_commonest_comes_first() -> None:
    """Two tests for one reason are one line; a file skipped whole counts as a file, since its tests are not known."""
    lines = grouped(
        [
            report("tests/a.py::one", "no GPU"),
            report("tests/b.py", "no Chromium"),
            report("tests/a.py::two[x]", "no data"),
            report("tests/c.py::three", "no data"),
        ]
    )
    assert lines == [
        "2 tests: no data (tests/a.py, tests/c.py)",
        "1 file: no Chromium (tests/b.py)",
        "1 test: no GPU (tests/a.py)",
    ]


def test_many_files_are_not_listed_one_by_one() -> None:
    """A missing library skips dozens of files; the line must stay a line."""
    (line,) = grouped([report(f"tests/{name}.py", "no torch") for name in "fedcba"])
    assert line == "6 files: no torch (tests/a.py, tests/b.py, tests/c.py and 3 more)"


def test_a_reason_of_several_lines_becomes_one() -> None:
    """An import error carries line breaks; they would tear the list."""
    assert reason_of(report("a", "could not import\n  'torch'")) == "could not import 'torch'"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_run_ends_with_the_list(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """In a real run, with and without workers: a skip in a test, one in a fixture, and a whole file, each once."""
    pytester.makeconftest("from tests.skips import pytest_terminal_summary")
    pytester.makepyfile(
        test_whole="import pytest\npytest.skip('no Chromium', allow_module_level=True)",
        test_single="""
            import pytest

            @pytest.fixture
            def data():
                pytest.skip("no data")

            def test_with_data(data): ...

            def test_in_the_body():
                pytest.skip("no data")

            def test_passes(): ...
        """,
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-o", "addopts=", *workers)
    result.stdout.fnmatch_lines(
        [
            "*skipped, and why*",
            "2 tests: no data (test_single.py)",
            "1 file: no Chromium (test_whole.py)",
        ]
    )
    result.assert_outcomes(passed=1, skipped=3)


def test_a_run_without_skips_says_nothing(pytester: pytest.Pytester) -> None:
    """The heading must not appear over an empty list."""
    pytester.makeconftest("from tests.skips import pytest_terminal_summary")
    pytester.makepyfile("def test_passes(): ...")
    assert "skipped, and why" not in pytester.runpytest_subprocess("-o", "addopts=").stdout.str()
