"""The list at the end of a test run of what was skipped and why: a check that never ran must not look like one that passed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

PLACES_SHOWN = 3


def reason_of(report: Any) -> str:
    """Return why a report's test or file was skipped, as its ``pytest.skip`` or marker says it."""
    longrepr = report.longrepr
    # pytest gives (file, line, "Skipped: reason"); an expected failure has a text of its own
    words = str(longrepr[2] if isinstance(longrepr, (tuple, list)) else getattr(report, "wasxfail", "") or longrepr)
    return " ".join(words.removeprefix("Skipped: ").split())


def grouped(reports: Iterable[Any]) -> list[str]:
    """Return one line a reason, the commonest first, with counts of tests and of files that were skipped whole."""
    tests: dict[str, list[str]] = defaultdict(list)
    files: dict[str, list[str]] = defaultdict(list)
    for report in reports:
        whole = "::" not in report.nodeid
        (files if whole else tests)[reason_of(report)].append(report.nodeid.split("::")[0])
    reasons = sorted({*tests, *files}, key=lambda reason: (-len(tests[reason]) - len(files[reason]), reason))
    return [_line(reason, tests[reason], sorted(set(files[reason]))) for reason in reasons]


def _line(reason: str, tests: Sequence[str], files: Sequence[str]) -> str:
    counts = [
        f"{len(some)} {word}{'s' * (len(some) != 1)}" for some, word in ((tests, "test"), (files, "file")) if some
    ]
    places = sorted({*tests, *files})
    more = f" and {len(places) - PLACES_SHOWN} more" if len(places) > PLACES_SHOWN else ""
    return f"{' and '.join(counts)}: {reason} ({', '.join(places[:PLACES_SHOWN])}{more})"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the skips; with xdist, the reports of all workers arrive here."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("skipped, and why", sep="-")
        for line in grouped(skipped):
            terminalreporter.write_line(line)
