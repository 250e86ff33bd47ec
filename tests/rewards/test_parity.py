"""The engine against plain transliterations of the published references: same ids, same numbers to 1e-5, for every
family."""

from __future__ import annotations

import functools

import pytest

pytest.importorskip("torch")

import torch

from prm_eval.records import ScoringItem
from prm_eval.rewards import load_reward_model
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from tests.rewards import reference_models as reference
from tests.rewards.tiny import build_models

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

torch.set_num_threads(1)

PROBLEMS = [
    ("What is 1+1?", ("We add the numbers.", "So x = 2.", "Hence \\boxed{2}.")),
    ("Let $x$ be a number.\nFind (x + 1).", ("Then (x + 1) = 3.",)),
    ("Wie groß ist π? 数", ("π ≈ 3.14.\nAlso 数 (x).", "So $$x = 2$$.", "a", "b.", "We add, then (x).")),
]
ITEMS = [ScoringItem(problem, "\n".join(steps), steps) for problem, steps in PROBLEMS]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return build_models(tmp_path_factory.mktemp("tiny"))


REFERENCES = {
    "qwen2.5-math-prm": reference.qwen_prm,
    "qwen2.5-math-rm": reference.qwen_rm,
    "math-shepherd": reference.math_shepherd,
    "rlhflow-prm-deepseek": reference.rlhflow_prm,
    "rlhflow-prm-mistral": functools.partial(reference.rlhflow_prm, numbered=True),
    "rlhflow-orm": lambda folder, problem, text: reference.rlhflow_prm(folder, problem, [text]),
    "skywork-o1-prm": reference.skywork,
    "reasoneval-7b": functools.partial(reference.reasoneval, size=7),
    "reasoneval-34b": functools.partial(reference.reasoneval, size=34),
    "pure": functools.partial(reference.token_classifier, separator="\n\n", bos=False),
    "h4-prm-0.2": functools.partial(reference.token_classifier, separator="\n\n", bos=True),
    "pure-prm800k": functools.partial(reference.token_classifier, separator="\n", bos=False),
    "versaprm": functools.partial(reference.versaprm, tag=23535),
    "versaprm-qwen": functools.partial(reference.versaprm, tag=22701),
    "math-psa": reference.math_psa,
}
LOG_RATIO = {"eurusprm-stage1": False, "eurusprm-stage2": True, "implicit-prm": False}
ELSEWHERE = {  # compared in other tests
    "token-classification": "tests/rewards/test_rewards.py",
    "miniature-orm": "tests/miniature/test_miniature_training.py",
    "miniature-prm": "tests/miniature/test_miniature_training.py",
    "sequence-classification": "tests/rewards/test_rewards.py",
    "thinkprm": "tests/rewards/test_generative.py",
    "processbench-judge": "tests/rewards/test_generative.py",
    "genprm": "refused",
}


def test_every_recipe_is_compared_with_a_reference() -> None:
    """A recipe without a reference is a guess."""
    assert set(shipped_recipes()) == {*REFERENCES, *LOG_RATIO, *ELSEWHERE}


@pytest.mark.parametrize("name", REFERENCES)
def test_engine_equals_the_reference(tiny, name) -> None:
    """Batched and padded, head at the read positions only: the ids of the reference and its numbers."""
    model = load_reward_model(f"{name}:{tiny[name]}")
    for item, found in zip(ITEMS, model.score(ITEMS), strict=True):
        ids, expected = REFERENCES[name](tiny[name], item.statement, item.steps if model.kind == "prm" else item.text)
        rendered = model.render(item)
        assert rendered.refusal is None, rendered.refusal
        assert list(rendered.ids) == ids
        assert len(rendered.positions) == (len(item.steps) if model.kind == "prm" else 1)
        assert found.values == pytest.approx(expected, abs=1e-5)
        assert found.n_tokens == len(ids)


@pytest.mark.parametrize("name", LOG_RATIO)
def test_log_ratio_equals_the_reference(tiny, name, monkeypatch) -> None:
    """Chunked log-sum-exp over tokens of several candidates: the numbers of two full softmaxes, one candidate at a
    time."""
    monkeypatch.setattr("prm_eval.rewards.models.logratio.CHUNK_TOKENS", 7)
    model = load_reward_model(f"{name}:{tiny[name]}", reference=str(tiny["eurusprm-reference"]))
    for item, found in zip(ITEMS, model.score(ITEMS), strict=True):
        ids, expected = reference.eurus(
            tiny[name], tiny["eurusprm-reference"], item.statement, item.steps, LOG_RATIO[name]
        )
        assert list(model.render(item).ids) == ids
        assert found.values == pytest.approx(expected, abs=1e-5 * 1e-3)  # beta is 1e-3
        assert max(map(abs, found.values)) > 1e-4
