# ruff: noqa: F811 - fixtures of another file are imported, and asked for by name
"""Prompts by name through the real lm_eval: what a policy is sent, what is said of a PRM that cuts otherwise, and what
is kept of it."""

from __future__ import annotations

import json
import logging

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.harness.running import run_lm_eval
from prm_eval.pools.prompts import PROMPTS, SLOT
from tests.conftest import PLAIN
from tests.harness.test_harness import dumps, here, run  # noqa: F401
from tests.harness.test_kept_candidates import Policy, metadata
from tests.harness.test_said import Server, api_run, server  # noqa: F401
from tests.harness.test_step_tasks import write_processbench

STATEMENTS = [row["problem"] for row in PLAIN]
LINES = "1 + 1 = 2\nSo it is two.\n\\boxed{2}"
PARAGRAPHS = LINES.replace("\n", "\n\n")


class Writer(Policy):
    """A policy that writes one solution, with a number that tells its copies apart."""

    def __init__(self, text: str) -> None:
        super().__init__(tag="")
        self.text = text

    def generate_until(self, requests):
        self.asked += [str(each.args[0]) for each in requests]
        return [f"{self.text} {number}" for number in range(len(requests))]


def warnings(caplog) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def said(caplog, words: str) -> list[str]:
    return [each for each in warnings(caplog) if words in each]


@pytest.mark.parametrize("name", list(PROMPTS))
def test_every_name_is_what_the_policy_is_sent(here, name: str) -> None:
    """What lm_eval sends is the template around the statement, to the character, and pool and results say so."""
    policy = Policy()
    found = run(model=policy, metadata=metadata(here, prompt=name))
    prompt = PROMPTS[name]
    assert set(policy.asked) == {prompt.template.replace(SLOT, each) for each in STATEMENTS}
    (pool,) = dumps(here)
    made_by = pool.info.source["lm_eval"]
    assert (made_by["prompt_name"], made_by["prompt"]) == (name, prompt.as_jinja)
    assert pool.info.splitter == (prompt.splitters or ("line",))[0]  # cut as it was asked
    recorded = found["configs"]["problems_bon"]["metadata"]["prm_eval"]["prompt"]
    assert recorded == {"name": name, "template": prompt.template}


def test_nothing_said_is_the_prompt_of_today(here) -> None:
    """Without prompt= the same requests as before there were names, in a pool of the same content."""
    silent, named = Policy(), Policy()
    run(model=silent, metadata=metadata(here))
    (pool,) = dumps(here)
    run(model=named, metadata=metadata(here, prompt="boxed_lines", dump_dir=str(here / "other")))
    assert silent.asked == named.asked
    assert silent.asked[0].endswith("\n\nSolve the problem step by step, one step a line, and put your final answer "
                                    "within \\boxed{}.")  # fmt: skip
    assert (here / "other" / "problems_bon" / pool.path.name / "pool.json").is_file()


def test_a_task_of_its_own_prompt_keeps_it(here) -> None:
    """The miniature's policy was trained on the bare statement; a name given by the user stands above that."""
    own, given = Policy(), Policy()
    few = metadata(here)
    run("miniature_bon", model=own, metadata=few)
    assert set(own.asked) == {f"{each}\n" for each in STATEMENTS}
    (pool,) = dumps(here, "miniature_bon")
    assert pool.info.source["lm_eval"]["prompt_name"] == "own"
    run("miniature_bon", model=given, metadata={**few, "prompt": "qwen_math"})
    assert all(each.endswith("Please reason step by step, and put your final answer within \\boxed{}.")
               for each in given.asked)  # fmt: skip


def test_a_template_of_ones_own(here) -> None:
    """From a file, to the character: braces and percent signs of LaTeX are not lm_eval's Jinja."""
    (here / "own.txt").write_text("Aufgabe {problem}\n{{x}} {% y %} {# z #} \\frac{1}{2}\nLösung:\n", encoding="utf-8")
    policy = Policy()
    found = run(model=policy, metadata=metadata(here, prompt=str(here / "own.txt")))
    tail = "\n{{x}} {% y %} {# z #} \\frac{1}{2}\nLösung:"
    assert set(policy.asked) == {f"Aufgabe {each}{tail}" for each in STATEMENTS}
    recorded = found["configs"]["problems_bon"]["metadata"]["prm_eval"]["prompt"]
    assert recorded == {"name": "own", "template": f"Aufgabe {SLOT}{tail}"}
    (pool,) = dumps(here)
    again = run(metadata={"replay": str(pool.path), "prompt": str(here / "own.txt")})  # the same one may be named
    assert again["results"]["problems_bon"]["acc@4,oracle"] == found["results"]["problems_bon"]["acc@4,oracle"]


def test_a_wrong_prompt_stops_before_generation(here) -> None:
    """A misspelt name sent as a prompt would cost a night of tokens."""
    with pytest.raises(PrmEvalError, match=r"prompt='boxed_line': .*Did you mean boxed_lines\? Expected one of boxed"):
        run(model=Policy(), metadata=metadata(here, prompt="boxed_line"))
    with pytest.raises(PrmEvalError, match="unknown --metadata key 'promt'"):
        run(model=Policy(), metadata=metadata(here, promt="boxed_lines"))


@pytest.mark.parametrize(
    ("prompt", "splitter", "fits", "offer"),
    [
        ("boxed_lines", "blank_line", False, "--metadata prompt=boxed_paragraphs (or step_k)"),
        ("boxed_lines", "step_k", False, "--metadata prompt=step_k"),
        ("boxed_lines", "thought", False, ""),
        ("boxed_lines", "line", True, ""),
        ("boxed_lines", "line:tools=drop", True, ""),
        ("boxed_paragraphs", "blank_line", True, ""),
        ("step_k", "blank_line", True, ""),
        ("qwen_math", "blank_line", True, ""),
        ("step_k", None, True, ""),  # a reward model that cuts as the pool says, which is cut as the prompt asks
    ],
)
def test_a_prm_that_cuts_otherwise_is_said_before_the_first_token(
    here, caplog, prompt, splitter, fits: bool, offer: str
) -> None:
    """The warning names the prompt that fits, and comes while it costs nothing; where they fit there is none."""
    order: list[int] = []

    class Late(Writer):
        def generate_until(self, requests):
            order.append(len(said(caplog, "cuts candidates by")))
            return super().generate_until(requests)

    more = {} if splitter is None else {"prm_splitter": splitter}
    with caplog.at_level(logging.WARNING):
        run(model=Late(LINES), metadata=metadata(here, prompt=prompt, prm_model="arithmetic", **more))
    assert order == [0 if fits else 1]
    for text in said(caplog, "cuts candidates by"):
        assert text.startswith(f"prm_model=arithmetic cuts candidates by {splitter}, but the prompt {prompt} asks for")
        assert (f"A prompt that fits: {offer}. Or" in text) == bool(offer)
        assert text.endswith("prm_splitter=line")


def test_an_orm_reads_whole_texts(here, caplog) -> None:
    """An ORM is never warned of: it has one number a candidate anyway."""
    with caplog.at_level(logging.WARNING):
        run(model=Writer("\\boxed{2}"), metadata=metadata(here, orm_model="boxed-support"))
    assert not said(caplog, "one step")


def test_most_candidates_of_one_step_are_said_loudly(here, caplog) -> None:
    """After scoring: in the log, and in the table that is read last; the names that fit are in both."""
    with caplog.at_level(logging.INFO):
        run(model=Writer(LINES), metadata=metadata(here, prm_model="arithmetic", prm_splitter="blank_line"))
    (loud,) = said(caplog, "are one step")
    assert loud == (
        "16 of 16 candidates (100 %) are one step to arithmetic, which cuts them by blank_line: there a PRM is an ORM. "
        "The prompt boxed_lines asked for one step a line. Ask otherwise: --metadata prompt=boxed_paragraphs (or "
        "step_k), or cut otherwise: prm-eval score POOL --splitter ..."
    )
    table = next(each.getMessage() for each in caplog.records if "accuracy in % at n" in each.getMessage())
    assert "WARNING: 16 of 16 candidates (100 %) are one step to PRM, which cuts" in table


def test_where_they_fit_nothing_is_said(here, caplog) -> None:
    """A warning that always comes is read by nobody."""
    with caplog.at_level(logging.INFO):
        run(
            model=Writer(PARAGRAPHS),
            metadata=metadata(here, prompt="boxed_paragraphs", prm_model="arithmetic", prm_splitter="blank_line"),
        )
    assert not [each for each in caplog.records if "one step" in each.getMessage()]


def test_a_policy_that_does_not_do_as_asked_is_said(here, caplog) -> None:
    """The prompt fits and the candidates are one step all the same: another prompt is offered, not the same again."""
    with caplog.at_level(logging.WARNING):
        run(
            model=Writer(LINES),
            metadata=metadata(here, prompt="boxed_paragraphs", prm_model="arithmetic", prm_splitter="blank_line"),
        )
    (loud,) = said(caplog, "are one step")
    assert "asked for a blank line between two steps, and the policy does not write so. Ask otherwise: " in loud
    assert "--metadata prompt=step_k," in loud


def test_a_replay_says_how_its_pool_was_asked(here, caplog) -> None:
    """Nothing is asked in a replay: results say the pool's prompt, and another one is refused."""
    run(model=Policy(), metadata=metadata(here, prompt="boxed_paragraphs"))
    (pool,) = dumps(here)
    with caplog.at_level(logging.WARNING):
        found = run(
            metadata={"replay": str(pool.path), "prm_model": "arithmetic", "prm_splitter": "line"},
        )
    config = found["configs"]["problems_bon"]
    assert config["doc_to_text"] == PROMPTS["boxed_paragraphs"].as_jinja
    assert config["metadata"]["prm_eval"]["prompt"]["name"] == "boxed_paragraphs"
    assert not said(caplog, "cuts candidates by")  # it is too late to ask otherwise
    with pytest.raises(PrmEvalError, match=r"prompt='step_k': nothing is generated in a replay.*'boxed_paragraphs'"):
        run(metadata={"replay": str(pool.path), "prompt": "step_k"})


def test_a_replay_of_strangers_runs_no_template_of_theirs(here, pool) -> None:
    """A pool's text as Jinja would run whatever a stranger wrote there; and a pool that knows no prompt has none."""
    about = json.loads((pool.path / "pool.json").read_text())
    about["source"] = {"lm_eval": {"prompt": "{{ 1 / 0 }}{{problem}}", "prompt_name": "boxed_lines"}}
    (pool.path / "pool.json").write_text(json.dumps(about))
    found = run(metadata={"replay": str(pool.path)})
    assert found["configs"]["problems_bon"]["doc_to_text"] == PROMPTS["boxed_lines"].as_jinja
    assert found["configs"]["problems_bon"]["metadata"]["prm_eval"]["prompt"]["name"] == "own"
    about["source"] = {}
    (pool.path / "pool.json").write_text(json.dumps(about))
    found = run(metadata={"replay": str(pool.path)})
    assert found["configs"]["problems_bon"]["metadata"]["prm_eval"]["prompt"] is None
    with pytest.raises(PrmEvalError, match=r"does not know its prompt\. Leave prompt= out"):
        run(metadata={"replay": str(pool.path), "prompt": "boxed_lines"})


def test_an_option_of_the_other_kind_of_task_is_said(here, caplog) -> None:
    """A step task asks nobody by prompt=, and a run of best of N has no threshold: silence would look like an effect.
    It is no error, as one command may run both."""
    with caplog.at_level(logging.WARNING):
        few = {"problems": write_processbench(here), "prm_model": "arithmetic"}
        run("processbench_math", metadata={**few, "prompt": "step_k", "k_measures": "all"})
        assert said(caplog, "processbench_math: --metadata k_measures=, prompt=: an option of best-of-N tasks, which")
        caplog.clear()
        run("processbench_math", metadata=few)
        run(model=Policy(), metadata=metadata(here))
        assert not said(caplog, "an option of")
        run(model=Policy(), metadata=metadata(here, threshold="0.3", dump_dir=str(here / "more")))
    assert said(caplog, "problems_bon: --metadata threshold=: an option of step tasks, which does nothing here")


@pytest.mark.slow
def test_system_text_and_chat_template_stay_lm_evals(here, server: Server) -> None:
    """Over HTTP, as a server gets it: the system turn is lm_eval's option, the user's turn is the prompt."""
    server.leave_after = 10**6
    arguments = [*api_run(here, server, 1), "prompt=qwen_math", "--system_instruction", "Be brief."]
    run_lm_eval(arguments)
    assert set(server.prompts) == {PROMPTS["qwen_math"].template.replace(SLOT, each) for each in STATEMENTS}
    assert set(server.systems) == {"Be brief."}
    (pool,) = dumps(here)
    made_by = pool.info.source["lm_eval"]
    assert (made_by["prompt_name"], made_by["system"]) == ("qwen_math", "Be brief.")
