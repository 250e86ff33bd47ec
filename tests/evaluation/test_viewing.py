"""Looking at candidates: what is shown of one is what the files say, at its place, and nothing in it acts."""

from __future__ import annotations

import json
import re

import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.pool_summary import summary_lines
from prm_eval.evaluation.viewing import places_of, view_candidates
from prm_eval.evaluation.views import MARKS, pieces, view_lines, view_page
from prm_eval.grading.pool import grade_pool
from prm_eval.importers import import_pool
from prm_eval.records import Judged, Judgement, StepRewards
from prm_eval.rewards.files.judgements import JudgementJournal, judgements_path
from prm_eval.rewards.files.reward_file import RewardFile
from tests.conftest import write_jsonl
from tests.evaluation.test_ranking import pool_of, rewards_of

ATTACK = "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'>"


def shown(view):
    return [each for problem in view.problems for each in problem.candidates]


def test_a_candidate_is_shown_as_the_files_have_it(pool) -> None:
    """Steps beside another candidate's rewards, or a verdict of another slot, would send a reader astray."""
    grade_pool(pool)
    view = view_candidates(pool.path, problem="a", slot=1)
    (candidate,) = shown(view)
    assert view.source == "own" and view.models == ("score", "step_scores")
    assert (candidate.slot, candidate.text) == (1, "1+1 = 3\n\\boxed{3}")
    assert (candidate.verdict, candidate.answer) == ("incorrect", "3")
    (listing,) = candidate.listings
    assert listing.models == (1,)  # the ORM has no step to judge
    assert [(step.text, step.rewards) for step in listing.steps] == [("1+1 = 3", (0.1,)), ("\\boxed{3}", (0.7,))]
    assert [step.weakest for step in listing.steps] == [(True,), (False,)]
    assert [step.marked for step in listing.steps] == [None, (7, 8)]
    assert [each.reward for each in candidate.rewards] == pytest.approx([0.5, 0.07])
    assert [each.slot for each in shown(view_candidates(pool.path, problem="a"))] == [0, 1, 2, 3]


def test_candidates_of_a_verdict_are_found_in_all_problems(pool) -> None:
    """The question after `no_answer 91` is which ones; without a problem the first few are shown, and the rest told."""
    grade_pool(pool)
    view = view_candidates(pool.path, verdict="incorrect", most=2)
    assert [(each.problem.problem_id, [c.slot for c in each.candidates]) for each in view.problems] == [
        ("a", [1]),
        ("b", [0]),
    ]
    assert view.left == 1
    assert list(view_lines(view))[-1] == "1 more fit: --most N shows more, --problem ID all of a problem"
    (none,) = shown(view_candidates(pool.path, problem="a", verdict="no_answer"))
    assert (none.slot, none.answer, none.found) == (2, None, None)
    assert [each.strip() for each in view_lines(view_candidates(pool.path, problem="b", verdict="undecided"))][-1] == (
        "no candidate fits"
    )


def test_published_grades_and_an_ungraded_pool(pool) -> None:
    """Without grades the answer is what is found now; the verdict is not invented."""
    (candidate,) = shown(view_candidates(pool.path, problem="a", slot=0))
    assert (candidate.verdict, candidate.answer, candidate.rule) == (None, "2", "boxed")
    (published,) = shown(view_candidates(pool.path, problem="a", slot=0, grades="published"))
    assert published.verdict == "correct"
    assert "(published)" in "\n".join(view_lines(view_candidates(pool.path, problem="a", grades="published")))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "which problem of"),
        ({"slot": 1}, "which problem of"),
        ({"problem": "c"}, "has no problem 'c'; the first: a, b"),
        ({"problem": "a", "slot": 9}, "no candidate in slot 9; its slots are 0 to 3"),
        ({"verdict": "wrong"}, "no verdict 'wrong'; expected one of correct, incorrect"),
        ({"verdict": "correct"}, "has no grades named 'own'; it has: published"),
        ({"problem": "a", "rewards": ["prm"]}, "no rewards of that name; it has: score, step_scores"),
        ({"problem": "a", "grades": "exact"}, "has no grades named 'exact'"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(pool, asked, message) -> None:
    """A mistyped id must say which ids there are."""
    with pytest.raises(PrmEvalError) as error:
        view_candidates(pool.path, **asked)
    assert message in str(error.value)


def test_rewards_are_chosen_by_name_or_path_and_refusals_have_their_reason(tmp_path) -> None:
    """A refused candidate has no steps with rewards, and why is the first question."""
    pool = pool_of(tmp_path, [["a\nb", "c"]])
    rewards_of(pool, "prm", [[0.0, 2.0], "over-length: 9 tokens, limit 4"])
    other = rewards_of(pool, "other", [[0.0, 2.0], [1.0]])
    view = view_candidates(pool.path, problem="p0", rewards=["prm"])
    first, second = shown(view)
    assert first.rewards[0].reward == pytest.approx(0.5) and second.rewards[0].reward is None
    assert [step.text for step in second.listings[0].steps] == ["c"] and second.listings[0].models == ()
    assert "refused: over-length: 9 tokens, limit 4  (PRM, min)" in "\n".join(view_lines(view))
    assert view_candidates(pool.path, problem="p0", rewards=[str(other), "prm"]).models == ("other", "prm")


def test_models_that_cut_otherwise_have_their_own_listing(tmp_path) -> None:
    """Rewards of three lines beside two paragraphs would stand at the wrong steps."""
    pool = pool_of(tmp_path, [["one\ntwo\n\nthree"]])
    rewards_of(pool, "lines", [[0.1, 0.2, 0.3]])
    folder = rewards_of(pool, "paragraphs", [[0.4, 0.5]])
    about = json.loads((folder / "submission.json").read_text())
    (folder / "submission.json").write_text(json.dumps(about | {"splitter": "blank_line"}))
    (candidate,) = shown(view_candidates(pool.path, problem="p0"))
    assert [(each.splitter, len(each.steps), each.models) for each in candidate.listings] == [
        ("line", 3, (0,)),
        ("blank_line", 2, (1,)),
    ]


@pytest.mark.parametrize(
    ("text", "steps", "places"),
    [
        ("a\nb\na", ["a", "b", "a"], [0, 2, 4]),
        ("  x  \n\n y", ["x", "y"], [2, 8]),
        ("told otherwise", ["not in it", "otherwise"], [None, 5]),
        ("", [], []),
    ],
)
def test_where_steps_stand(text, steps, places) -> None:
    """The same line twice must not mark the answer in the first one."""
    assert places_of(text, steps) == places


def test_an_answer_outside_the_steps_is_shown_in_the_text(tmp_path) -> None:
    """Given steps may leave out what the text says at its end; the mark must not get lost."""
    rows = [
        {"id": "a", "problem": "1+1?", "answer": "2", "samples": [{"text": "We add. \\boxed{2}", "steps": ["We add."]}]}
    ]
    pool = import_pool(write_jsonl(tmp_path / "g.jsonl", rows), tmp_path / "g", splitter="given").pool
    lines = list(view_lines(view_candidates(pool.path, problem="a")))
    assert f"We add. \\boxed{{{MARKS[0]}2{MARKS[1]}}}" in [each.strip() for each in lines]
    assert "<mark>2</mark>" in view_page(view_candidates(pool.path, problem="a"), "t")


def test_pieces_of_a_marked_text() -> None:
    """Characters are made visible after the mark is placed: their names are longer than they are."""
    assert pieces("\x1b\x1b x \x1b", (3, 4)) == [("<ESC><ESC> ", False), ("x", True), (" <ESC>", False)]
    assert pieces("ab", None) == [("ab", False)]


def judged_pool(tmp_path):
    pool = pool_of(tmp_path, [["a\nb"]])
    folder = rewards_of(pool, "judge", [[0.5, 0.0]], score_type="value")
    votes = (Judgement(f"first {ATTACK}\x1b[2J", 7, 1), Judgement("x" * 3_000, 8, None, True), Judgement("", 9, -1))
    ((_, (candidate,)),) = list(pool)
    with JudgementJournal(folder, {}, 0) as journal:
        journal.append(0, [(candidate, StepRewards((0.5, 0.0), judged=Judged(votes, 0.5)))])
        journal.finish()
    return pool, folder


def test_judgements_are_shown_with_seeds_and_what_was_read(tmp_path) -> None:
    """A judge that says nothing readable is debugged by reading what it said."""
    pool, folder = judged_pool(tmp_path)
    said = "\n".join(view_lines(view_candidates(pool.path, problem="p0")))
    assert "0.0000  (PRM, min, spread 0.500 over 3 votes)" in said
    assert "judgement 1 of 3 by A, seed 7: step 2 is the first wrong one" in said
    assert "judgement 2 of 3 by A, seed 8: nothing could be read, cut off" in said
    assert "judgement 3 of 3 by A, seed 9: no wrong step" in said
    assert "... 1,000 characters more" in said and "\x1b" not in said
    judgements_path(folder).write_text('{"problem_id": "p0", "candidate_id": "x", "spread": 0, "votes": [1]}\n')
    with pytest.raises(DataError, match=r"judgements\.jsonl, row 1"):
        view_candidates(pool.path, problem="p0")


def hostile_pool(tmp_path):
    rows = [
        {
            "id": f"{ATTACK}\u202e",
            "problem": f"{ATTACK} {{{{ 7*7 }}}} {{% raw %}}\x1b[2J",
            "answer": f"2{ATTACK}",
            "subject": ATTACK,
            "level": 3,
            "samples": [
                {"text": f"{ATTACK}\u202e\x07\nso \\boxed{{2{ATTACK}}}", "score": 0.5, "step_scores": [0.1, 0.9]},
                {"text": "</script></style></span><style>*{display:none}</style>", "score": 1, "step_scores": [0.5]},
            ],
        }
    ]
    pool = import_pool(write_jsonl(tmp_path / "h.jsonl", rows), tmp_path / "h", policy=ATTACK).pool
    grade_pool(pool)
    return pool


def test_hostile_texts_act_neither_on_the_terminal_nor_on_the_page(tmp_path, capsys) -> None:
    """A candidate that clears the screen, turns the line around or runs a script on the page."""
    pool = hostile_pool(tmp_path)
    (name,) = pool.problems
    page = tmp_path / "pages" / "v.html"
    assert main(["pool", "show", str(pool.path), "--problem", name]) == 0
    assert main(["pool", "show", str(pool.path)]) == 0
    said = capsys.readouterr().out
    assert not set(said) & {"\x1b", "\x07", "\u202e"} and "<U+202E>" in said
    assert main(["pool", "show", str(pool.path), "--problem", name, "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"<(script|img|iframe|svg|form|object)\b", text)
    assert text.count("<style>") == 1 and "49" not in re.sub(r"[0-9a-f]{12}", "", text.split("<main>")[1])
    assert "default-src 'none'; style-src 'sha256-" in text and "script-src" not in text and "unsafe" not in text
    assert not re.search(r"(?:src|href)=\"(?!data:,)", text)
    assert not set(text) & {"\x1b", "\x07", "\u202e"}


def test_the_page_in_a_browser(tmp_path) -> None:
    """The policy lets its own style through and nothing else: no error, no request, no script has run."""
    from tests.leaderboard import test_leaderboard_page as browser

    pool, _ = judged_pool(tmp_path)
    evil = hostile_pool(tmp_path)
    (name,) = evil.problems
    views = (view_candidates(pool.path, problem="p0"), view_candidates(evil.path, problem=name))
    with browser.sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.CHROMIUM, args=["--no-sandbox"])
        tab = chromium.new_page()
        said, asked = [], []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("request", lambda request: asked.append(request.url))
        for place, view in enumerate(views):
            page = tmp_path / f"{place}.html"
            page.write_text(view_page(view, f"Candidates {ATTACK}"), encoding="utf-8")
            tab.goto(page.as_uri())
            assert tab.evaluate("window.hacked") is None
            assert tab.evaluate("getComputedStyle(document.querySelector('article')).borderLeftWidth") == "5px"
            assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        chromium.close()
    assert said == [] and [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_the_summary_says_how_candidates_were_made_and_cut(tmp_path) -> None:
    """By hand: three candidates of 1, 2 and 3 steps, of which one has neither letter nor digit."""
    pool = pool_of(tmp_path, [["a\nb\n+", "c"], ["d\ne"]])
    lines = list(summary_lines(pool))
    assert "missing    1 slots; they count as wrong (import with --slots min or a number to leave them out)" in lines
    assert [each for each in lines if each.startswith("steps")] == [
        "steps      2.0 a candidate (1 to 3); 33.3 % of candidates have one step, 0.0 % none",
    ]
    assert (
        "           of 6 steps 16.7 % have no letter or digit, 0.0 % are bare headings, 0.0 % end in a colon" in lines
    )
    assert (
        "gold       no problem has an answer, so nothing can be graded; candidates can be ranked by rewards"
        in "\n".join(lines)
    )
    assert "sampling   unknown" in lines and "prompt     unknown" in lines and "grades     none" in lines


def test_the_summary_has_verdicts_prompt_and_rewards(pool) -> None:
    """What an lm_eval run recorded of the prompt was in pool.json, and no command showed it."""
    grade_pool(pool)
    about = json.loads((pool.path / "pool.json").read_text())
    made_by = {
        "prompt": "{{problem}}\nStep by step.",
        "system": None,
        "chat_template": {"text": "<|im_start|>", "sha256": "0"},
    }
    about |= {"source": {"lm_eval": made_by}, "sampling": {"temperature": 0.7, "n": 4}}
    about["policy"]["id"] = "/data/models/org/policy"
    (pool.path / "pool.json").write_text(json.dumps(about))
    lines = list(summary_lines(type(pool)(pool.path)))
    assert "grades     own: correct 4, incorrect 3, no_answer 1" in lines
    assert "grades     published: correct 4, incorrect 3, no_answer 1" in lines
    assert "prompt     prompt: {{problem}} Step by step." in lines and "prompt     chat template: <|im_start|>" in lines
    assert "sampling   n 4, temperature 0.7" in lines and "policy     org/policy" in lines
    assert "rewards    step_scores: step_scores (PRM, prod)" in lines
    (pool.path / "rewards" / "score" / "submission.json").write_text("{")
    assert any("not JSON" in each for each in summary_lines(pool))  # one broken folder hides nothing else


def test_a_page_that_cannot_be_written_is_one_line(pool, tmp_path, capsys) -> None:
    """A folder in the place of the page is no reason for a traceback."""
    assert main(["pool", "show", str(pool.path), "--problem", "a", "--html", str(tmp_path)]) == 1
    assert "Is a directory" in capsys.readouterr().err
    assert RewardFile(pool.reward_folders()[0]).name
