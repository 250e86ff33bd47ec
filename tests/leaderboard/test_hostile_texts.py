"""What strangers write on a board: their texts and formulas are shown, and do nothing."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.leaderboard import build
from prm_eval.texts.mathml import ATTRIBUTES, ELEMENTS, to_mathml, typeset
from tests.leaderboard.leaderboards import disclosure, made_up, register, submit
from tests.leaderboard.reading import OUTSIDE, Page

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %}",
    "' onmouseover='alert(1)",
    '=HYPERLINK("http://evil.example")',
    "a|b`c`<b>*d*",
]
HOSTILE_MATH = [
    r"$\text{<script>alert(1)</script>}$",
    r"$\href{javascript:alert(1)}{x}$",
    r"$\text{</math><img src=x onerror=alert(1)>}$",
    r"$\style{background:url(http://evil.example)}{x}$ $\class{a}{b}$ $\unicode{x41}$",
    "$" + "{" * 900 + "}" * 900 + "$",
    "$" + r"\frac" * 200 + "$",
    "$" + "x^{" * 24 + "1" + "}" * 24 + "$",
    r"$$\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}$$ \[ \sqrt[3]{2} \]",
    r"\begin{align*} a &= b \\ c &= d \end{align*}",
    "$\u202eevil\u2066$ \x00 \ufffe $a < b$ $1 \\& 2$",
    "$" + "a" * 5_000 + "$",
    "$$$$ $ $ \\( \\) \\[ \\]",
]


@pytest.mark.parametrize("text", HOSTILE + HOSTILE_MATH)
def test_a_strangers_text_is_inert(text) -> None:
    """Only MathML of the list, with attributes of the list, and escaped text come out; the words survive."""
    page = Page(f"<div>{typeset(text)}</div>")
    for name, attributes in page.elements:
        assert name in ELEMENTS | {"div", "code"} - {"menclose"}
        for key, value in attributes.items():
            allowed = value in ("tex", "boxed") if key == "class" else ATTRIBUTES[key].fullmatch(value or "")
            assert allowed, (name, key, value)
    if "$" not in text and "\\" not in text:
        assert "".join(page.words) == text


@pytest.mark.parametrize(
    ("tex", "holds"),
    [
        (r"\frac{1}{2}", "<mfrac>"),
        (r"\boxed{42}", 'class="boxed"'),
        (r"x^2 + \sqrt{y_1}", "<msqrt>"),
        (r"\begin{cases} 1 & x>0 \\ 0 & x \le 0 \end{cases}", "<mtable"),
        (r"\text{if } x", "<mtext>"),
        ("a < b", "&lt;"),
    ],
)
def test_mathematics_is_typeset(tex, holds) -> None:
    made = to_mathml(tex, False)
    assert made is not None and holds in made and made.startswith("<math")


def test_a_dollar_is_not_always_mathematics() -> None:
    assert "<math" not in typeset(r"It costs \$5 and \$6.")
    assert typeset("x \\boxed{\\frac{1}{2}} y").count("<math") == 1
    assert 'class="tex"' in typeset("$" + "x" * 1_100 + "$") and "<math" not in typeset("$" + "x" * 2_000 + "$")


def test_formulas_take_bounded_time() -> None:
    """A thousand characters of anything: well under a second each."""
    import time

    source = np.random.default_rng(1)
    pieces = [
        r"\frac",
        "{",
        "}",
        "^",
        "_",
        r"\left(",
        r"\right)",
        "x",
        "&",
        r"\\",
        r"\begin{matrix}",
        r"\end{matrix}",
        r"\sqrt[",
        "]",
        r"\text{",
        "\\",
    ]
    for _ in range(150):
        tex = "".join(source.choice(pieces, 300))[:1_000]
        started = time.process_time()
        to_mathml(tex, False)
        assert time.process_time() - started < 1.0
    for opener in ("$", "$$", "\\[", "\\begin{align}", "\\boxed{", "\\boxed{{{", "\\$", "\\("):
        started = time.process_time()
        typeset((opener + " ") * (8_000 // (len(opener) + 1)))
        assert time.process_time() - started < 3.0, opener


def test_hostile_submissions_are_escaped_on_every_page(tmp_path) -> None:
    """Every free text of a submission, a problem and a candidate is an attack; no page has an element or attribute from
    it."""
    from prm_eval.grading.pool import grade_pool
    from prm_eval.importers import import_pool
    from tests.conftest import write_jsonl

    rows = [
        {
            "id": f"p{k}{HOSTILE[k % len(HOSTILE)]}",
            "problem": " ".join(HOSTILE + HOSTILE_MATH[:8]),
            "answer": "1",
            "subject": HOSTILE[k % len(HOSTILE)],
            "samples": [
                {"text": f"{text}\nso \\boxed{{{k % 3}}}"} for k, text in enumerate((HOSTILE + HOSTILE_MATH)[:8])
            ],
        }
        for k in range(8)
    ]
    results = tmp_path / "results"
    policy = '<script>alert("policy")</script>'
    pool = import_pool(write_jsonl(tmp_path / "rows.jsonl", rows), results / "pools" / "evil", policy=policy).pool
    grade_pool(pool)
    register(results, pool, "evil", "<img src=x onerror=alert(2)> & a title")
    arrays = load_arrays(pool)
    evil = disclosure() | {"base_model": HOSTILE[1], "contact": HOSTILE[2], "notes": HOSTILE[3]}
    evil["training_data"] = HOSTILE[4:]
    for kind in ("prm", "orm"):
        submit(
            results, arrays, "evil", made_up(arrays, 1, stepwise=kind == "prm"), name=f"org/model-{kind}", kind=kind,
            disclosure=evil,
            refusals={3: HOSTILE[1]}, device=HOSTILE[5],
            model={"id": f"org/model-{kind}", "revision": "0" * 40, "note": HOSTILE[0], "recipe": None},
        )  # fmt: skip
    build(results)
    folder = results / "leaderboard"
    pages = list(folder.rglob("*.html"))
    assert len(pages) == 3
    for path in pages:
        text = path.read_text(encoding="utf-8")
        page = Page(text)
        assert (
            len(page.of("script")) == 1 and len(page.of("style")) == 1 and not page.of("img") and not page.of("iframe")
        )
        for tag, attributes in page.elements:
            assert not any(key.startswith("on") or key in ("style", "src", "action") for key in attributes), (
                tag,
                attributes,
            )
            assert not (attributes.get("href") or "").lower().startswith(("javascript", "//")), attributes
            if (attributes.get("href") or "").lower().startswith("http"):
                assert OUTSIDE.fullmatch(attributes["href"]), attributes
        assert "<script>alert" not in text and "49" not in re.findall(r">([^<]*)\{% raw", text)
        if path.parent != folder:
            assert page.words.count(HOSTILE[0]) >= 1 or any(HOSTILE[0] in words for words in page.words)
    table = (folder / "leaderboard.md").read_text(encoding="utf-8")
    assert "<img" not in table and "<script" not in table
    json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))
    for drawing in folder.glob("charts/*.svg"):
        from xml.etree import ElementTree

        tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(drawing).iter()}
        assert tags <= {"svg", "style", "line", "circle", "rect", "polyline", "polygon", "text"}
