"""Rows with anything in any place: read, or refused with their place, never a crash."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.importers.steps import import_step_set
from tests.conftest import write_jsonl
from tests.importers.steps.rows import ONE_EACH

pytestmark = pytest.mark.unmeasured  # the same few lines, hundreds of times

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from([0.5, -1.0, 1e308, float("nan"), float("inf"), 10**30, "", "N/A", "Step 1:", "ки", "\ud800"]),
    st.sampled_from([[], [[]], [None], ["a"], [1], [[0.1, 0.2, 0.7]], {}, {"text": 1}, {"steps": []}]),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in a row."""
    found = [path] if path else []
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, each in parts for place in places(each, (*path, key))]


@pytest.mark.parametrize("name", ONE_EACH)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_anything_anywhere(name: str, data: st.DataObject) -> None:
    """If a value that no author foresaw were a traceback, its owner would get neither file nor row."""
    form, row = ONE_EACH[name]
    changed = copy.deepcopy(row)
    *parents, last = data.draw(st.sampled_from(places(row)))
    place: Any = changed
    for key in parents:
        place = place[key]
    place[last] = data.draw(ODD)
    with tempfile.TemporaryDirectory() as folder:
        source = write_jsonl(Path(folder) / "rows.jsonl", [changed])
        try:
            report = import_step_set(source, Path(folder) / "set", form=form)
        except PrmEvalError as error:
            assert str(source) in str(error)
        else:
            assert report.step_set.verify() == []
