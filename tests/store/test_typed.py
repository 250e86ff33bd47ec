"""From JSON to typed values: what is valid is built and written back, what is not is refused with every fault.

If this failed, a file would be checked by one rule and read by another.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from functools import cache, partial
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.rewards.recipes.recipe import Recipe
from prm_eval.store.rules import Number, Size, Text, Words
from prm_eval.store.typed import (
    Malformed,
    as_json,
    build,
    computed,
    draft,
    faults,
    hints_of,
    is_open,
    is_required,
    json_fields,
    rest,
    rest_of,
)
from prm_eval.submissions.formats import FILES, ModelEntry
from tests.conftest import ROOT

# --- a type with everything that is understood


@dataclass(frozen=True)
class Inner:
    """One of many."""

    name: Annotated[str, Text(20, r"[a-z]+", "small letters")]
    share: Annotated[float, Number(0, 1)] = 0.5


@dataclass(frozen=True)
class Open:
    """What keeps what it does not name."""

    id: str
    others: Mapping[str, Any] = rest()


@dataclass(frozen=True)
class Everything:
    """All sorts of fields."""

    kind: Literal["prm", "orm"]
    count: Annotated[int, Number(0)]
    flag: bool
    inner: Inner
    open: Open
    either: int | str | None
    items: list[Inner]
    indices: Annotated[tuple[int, ...], Words("whole numbers")]
    table: Annotated[dict[str, float], Size(0, 3)]
    mapping: Mapping[str, Inner]
    anything: Any
    above: Annotated[float, Number(above=0)] = 1.0
    optional: Inner | None = None
    listed: list[str] = field(default_factory=list)
    digest: str = computed("")


VALID: dict[str, Any] = {
    "kind": "prm", "count": 1, "flag": True, "inner": {"name": "a"}, "open": {"id": "x", "more": [1, {"a": None}]},
    "either": "text", "items": [{"name": "b", "share": 1}], "indices": [3, -1], "table": {"a": 1, "b": 0.5},
    "mapping": {"k": {"name": "c"}}, "anything": {"deep": [1, 2]},
}  # fmt: skip


def test_the_typed_value_is_what_the_json_says() -> None:
    """Nested values have their types, not dictionaries of them; what has a default may be left out."""
    value = build(Everything, VALID)
    assert value == Everything(
        "prm", 1, True, Inner("a"), Open("x", {"more": [1, {"a": None}]}), "text", [Inner("b", 1)], (3, -1),
        {"a": 1, "b": 0.5}, {"k": Inner("c")}, {"deep": [1, 2]},
    )  # fmt: skip
    assert value.listed is not build(Everything, VALID).listed


def without(name: str) -> dict[str, Any]:
    return {key: each for key, each in VALID.items() if key != name}


@pytest.mark.parametrize(
    ("value", "where", "found", "expected"),
    [
        (7, "", "7", "an object"),
        (without("kind"), "kind", "nothing", "one of prm, orm"),
        (without("count"), "count", "nothing", "a whole number of at least 0"),
        (VALID | {"kind": "PRM"}, "kind", "'PRM'", "one of prm, orm"),
        (VALID | {"kind": True}, "kind", "True", "one of prm, orm"),
        (VALID | {"kind": ["prm"]}, "kind", "['prm']", "one of prm, orm"),
        (VALID | {"count": "many"}, "count", "'many'", "a whole number of at least 0"),
        (VALID | {"count": -1}, "count", "-1", "a whole number of at least 0"),
        (VALID | {"count": True}, "count", "True", "a whole number of at least 0"),
        (VALID | {"count": 1.0}, "count", "1.0", "a whole number of at least 0"),
        (VALID | {"flag": 1}, "flag", "1", "true or false"),
        (VALID | {"above": 0}, "above", "0", "a number above 0"),
        (VALID | {"above": float("nan")}, "above", "nan", "a number above 0"),
        (VALID | {"inner": {"name": "A"}}, "inner.name", "'A'", "small letters"),
        (VALID | {"inner": {"name": 7}}, "inner.name", "7", "small letters"),
        (VALID | {"inner": {"name": "a", "share": 2}}, "inner.share", "2", "a number from 0 to 1"),
        (VALID | {"inner": {"name": "a", "nmae": "a"}}, "inner.nmae", "an unknown key", "name?"),
        (VALID | {"optional": {"share": 1}}, "optional.name", "nothing", "small letters"),
        (VALID | {"knid": 1}, "knid", "an unknown key", "kind?"),
        (VALID | {"a b": 1}, "'a b'", "an unknown key", "one of kind, count"),
        (VALID | {7: 1}, "7", "an unknown key", "one of kind, count"),
        (VALID | {"digest": "x"}, "digest", "an unknown key", ""),
        (VALID | {"others": 1}, "others", "an unknown key", ""),
        (VALID | {"open": {"id": "x", "a sentence": 1}}, "a key of open", "'a sentence'", "a name of letters"),
        (VALID | {"open": {"id": "x", 7: 1}}, "a key of open", "7", "a text"),
        (VALID | {"either": 1.5}, "either", "1.5", "a whole number"),
        (VALID | {"items": {}}, "items", "{}", "a list"),
        (VALID | {"items": [{"name": "b"}, 3]}, "items[1]", "3", "an object"),
        (VALID | {"indices": [1, "x"]}, "indices", "[1, 'x']", "whole numbers"),
        (VALID | {"table": dict.fromkeys("abcd", 1)}, "table", "4 entries", "0 to 3"),
        (VALID | {"table": {"a": "b"}}, "table.'a'", "'b'", "a number"),
        (VALID | {"table": {1: 1}}, "a key of table", "1", "a text"),
        (VALID | {"mapping": []}, "mapping", "[]", "an object"),
        (VALID | {"anything": [float("inf")]}, "anything[0]", "inf", "a finite number"),
    ],
)  # fmt: skip
def test_a_fault_says_where_what_was_found_and_what_was_expected(value, where, found, expected) -> None:
    """Whoever wrote the file learns which field to mend, in the words of its type."""
    with pytest.raises(Malformed) as caught:
        build(Everything, value)
    (one,) = caught.value.faults
    assert (one.where, one.found) == (where, found)
    assert one.expected.startswith(expected)
    assert str(caught.value) == f"{where} = {found}; expected {one.expected}"


def test_every_fault_is_told_at_once() -> None:
    """A file that is mended fault by fault is checked as many times; a misspelt key comes before the one it leaves
    missing."""
    wrong = without("count") | {"cuont": 1, "flag": 0, "inner": {"name": "", "share": "x"}}
    told = [each.where for each in faults(Everything, wrong)]
    assert told == ["cuont", "count", "flag", "inner.name", "inner.share"]


def test_the_place_may_be_given() -> None:
    """What is part of a larger value is named by its path there."""
    assert [each.where for each in faults(Inner, {}, "run.inner")] == ["run.inner.name"]


def test_a_draft_has_what_is_well_formed() -> None:
    """The checker goes on with those fields: a bad name must not hide another pool."""
    half = draft(Everything, VALID | {"count": -1, "open": {}})
    assert half.whole is None and not half.has("count") and not half.has("open") and not half.has("no such field")
    assert half.has("kind", "inner", "optional") and half["inner"] == Inner("a") and half["optional"] is None
    assert draft(Everything, VALID).whole == build(Everything, VALID)
    assert draft(Everything, 7).fields == {}


def test_a_strangers_text_is_harmless_and_ones_own_is_free() -> None:
    """A pool of one's own may record a long prompt with any characters; a stranger's name acts on no terminal."""
    for value in ("\u202e", "x" * 1_001):
        fields = VALID | {"anything": {"prompt": value}}
        assert [each.where for each in faults(Everything, fields)] == ["anything.'prompt'"]
        assert build(Everything, fields, own=True).anything == {"prompt": value}
    assert faults(Inner, {"name": "A"}, own=True)  # the rules of the type hold for both


def test_what_is_nested_beyond_reading_is_a_fault() -> None:
    """No traceback for a file of brackets."""
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deeply" in str(faults(Everything, VALID | {"anything": deep}, own=True)[0])


def test_ten_thousand_unknown_keys_are_refused_quickly() -> None:
    """The nearest known key is looked for only where somebody may have misspelt one."""
    found = faults(Inner, {"name": "a"} | {f"nam{at}": 1 for at in range(10_000)})
    assert len(found) == 10_000 and found[0].expected == "one of name, share"


# --- every type that is read from a file

KINDS = {name: kind for name, (_, kind) in FILES.items()} | {
    "everything": Everything, "recipe": Recipe, "reward-info": RewardInfo,
}  # fmt: skip

KEYS = st.text(string.ascii_lowercase + "_", min_size=1, max_size=6)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text("abc", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


TEXTS = [
    "a",
    "some-org/some.model_1",
    "0" * 64,
    "f" * 40,
    "MIT",
    "pools/demo-35x8",
    "letters and spaces",
    "2026-01-31",
    "86.1",
]


@cache
def valid(hint: Any, whole: bool) -> st.SearchStrategy[Any]:
    """Return JSON values of a type; ``whole``: with every field, also those that have a default."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return limited(arguments[0], arguments[1:], whole)
    if origin in (Union, UnionType):
        return st.one_of(*(valid(each, whole) for each in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (list, tuple):
        return st.lists(valid(arguments[0], whole), max_size=3)
    if origin in (dict, Mapping):
        return st.dictionaries(KEYS, valid(arguments[1], whole), max_size=3)
    if hasattr(hint, "__dataclass_fields__"):
        return objects(hint, whole)
    plain = {str: st.text("abc", max_size=5), int: st.integers(-9, 9), float: st.floats(-9, 9) | st.integers(-9, 9),
             bool: st.booleans(), type(None): st.none(), Any: ANYTHING}  # fmt: skip
    return plain[hint]


def limited(base: Any, rules: tuple[Any, ...], whole: bool) -> st.SearchStrategy[Any]:
    values = valid(base, whole)
    for rule in rules:
        if isinstance(rule, Text) and rule.pattern is not None:
            return st.sampled_from(
                [each for each in TEXTS if len(each) <= rule.most and re.fullmatch(rule.pattern, each, re.ASCII)]
            )
        if isinstance(rule, Number):
            low, high = rule.least or 0, 9 if rule.most is None else min(rule.most, 9)
            values = st.integers(int(low) + (rule.above is not None), int(high))
        if isinstance(rule, Size):
            values = values.filter(partial(fits, rule))
    return values


def fits(rule: Size, value: Any) -> bool:
    return rule.least <= len(value) <= rule.most


@cache
def objects(kind: Any, whole: bool) -> st.SearchStrategy[dict[str, Any]]:
    hints = hints_of(kind)
    always = {each.name: valid(hints[each.name], whole) for each in json_fields(kind) if whole or is_required(each)}
    rest_ = {each.name: valid(hints[each.name], whole) for each in json_fields(kind) if each.name not in always}
    named = st.fixed_dictionaries(always, optional=rest_)
    if not is_open(kind):
        return named
    others = st.dictionaries(KEYS.filter(lambda key: key not in hints), ANYTHING, max_size=2)
    return st.tuples(others, named).map(lambda both: both[0] | both[1])


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_json_to_typed_to_json_is_the_identity(name, data) -> None:
    """Nothing that a file says is lost on the way, least of all what an open type does not name."""
    kind = KINDS[name]
    value = data.draw(objects(kind, whole=True))
    assert faults(kind, value) == ()
    assert json.dumps(as_json(build(kind, value)), sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_what_is_left_out_comes_back_as_its_default(name, data) -> None:
    """A file with fewer fields is the same value as one that spells the defaults out."""
    kind = KINDS[name]
    value = data.draw(objects(kind, whole=False))
    typed = build(kind, value)
    written = as_json(typed)
    assert build(kind, written) == typed
    assert {key: written[key] for key in value}.keys() == value.keys()
    for each in json_fields(kind):
        if each.name not in value:
            default = each.default if each.default is not MISSING else each.default_factory()
            assert written[each.name] == as_json(default)


ODD = ANYTHING | st.text(max_size=5) | st.floats()


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_is_refused_is_what_has_faults(name, data) -> None:
    """Reading and checking are one rule: a file is built, as its type in all its depth, if and only if nothing is
    found."""
    kind = KINDS[name]
    value = data.draw(objects(kind, whole=False))
    inner: Any = value
    while isinstance(inner, dict) and inner:
        key = data.draw(st.sampled_from(sorted(inner)))
        if isinstance(inner[key], dict) and data.draw(st.booleans()):
            inner = inner[key]
            continue
        inner[data.draw(st.sampled_from([key, key + "_", key[:-1]]))] = data.draw(ODD)
        break
    found = faults(kind, value)
    assert draft(kind, value).faults == found
    try:
        typed = build(kind, value)
    except Malformed as error:
        assert error.faults == found != ()
    else:
        assert found == () and draft(kind, value).whole == typed
        assert of_type(typed, kind)


def of_type(value: Any, hint: Any) -> bool:
    """Say whether a built value is of its type: a second reading of the types, that shares no code with the first."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return of_type(value, arguments[0])
    if origin in (Union, UnionType):
        return any(of_type(value, each) for each in arguments)
    if origin is Literal:
        return any(value is each or value == each for each in arguments)
    if origin in (list, tuple):
        return type(value) is origin and all(of_type(each, arguments[0]) for each in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(of_type(each, arguments[1]) for each in value.values())
    if hasattr(hint, "__dataclass_fields__"):
        return type(value) is hint and all(of_type(getattr(value, name), each) for name, each in hints_of(hint).items())
    return hint is Any or type(value) in {float: (int, float)}.get(hint, (hint,))


# --- what ships


def test_an_open_type_keeps_what_it_does_not_name() -> None:
    """A field that only one family of models has, such as its separator, is part of what is compared by verify."""
    entry = build(ModelEntry, {"id": "a/b", "separator": "\n", "others": {"x": 1}})
    assert entry.others == {"separator": "\n", "others": {"x": 1}} and rest_of(ModelEntry) == "others"
    assert (entry.get("separator"), entry.get("id"), entry.get("nothing such")) == ("\n", "a/b", None)
    assert as_json(entry)["others"] == {"x": 1} and build(ModelEntry, as_json(entry)) == entry


def test_every_file_of_the_results_is_built() -> None:
    """What is on the board today must be readable tomorrow, and say the same."""
    names = {"submission.json": "submission", "verification.json": "verification", "pool.json": "pool"}
    files = [path for path in (ROOT / "results").rglob("*.json") if path.name in names and "schema" not in path.parts]
    files += (ROOT / "results" / "pools").glob("*.json")
    assert len(files) > 20
    for path in files:
        kind = KINDS[names.get(path.name, "pool-ref")]
        said = json.loads(path.read_text(encoding="utf-8"))
        assert holds(as_json(build(kind, said)), said), path


def holds(written: Any, said: Any) -> bool:
    """Say whether a value has all that another says; beside it there may be defaults."""
    if isinstance(said, dict):
        return written.keys() >= said.keys() and all(holds(written[key], each) for key, each in said.items())
    return bool(written == said)
