"""The training of the miniature models. Each test says what would be wrong if it failed."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest

import prm_eval
from prm_eval.errors import PrmEvalError
from prm_eval.miniature.build import admissible
from prm_eval.miniature.candidates import policy_candidates, read_candidates, training_problems
from prm_eval.miniature.data import (
    IGNORED,
    Labelled,
    Stream,
    corpus_text,
    drill_example,
    facts,
    label,
    solution_example,
    solution_read,
    verifier_example,
)
from prm_eval.miniature.lessons import Lessons, all_facts, one_operation
from prm_eval.miniature.make import TINY, drawn_for_training, make
from prm_eval.miniature.noise import CORPUS, RARE, misconception, outcomes, write_solution
from prm_eval.miniature.oracle import judge
from prm_eval.miniature.plan import evaluate, solve
from prm_eval.miniature.problems import iter_problems, miniature_problems, split_of
from prm_eval.miniature.rows import Packer, padded
from prm_eval.miniature.train import Schedule, fit, precision_of
from prm_eval.miniature.verifiers import Epochs
from prm_eval.miniature.vocabulary import END, MAX_TOKENS, PAD, UNKNOWN, Encoder, make_tokenizer, split_text
from prm_eval.records import ScoringItem
from prm_eval.rewards.engine.machine import device_name
from prm_eval.store.jsonl import file_sha256
from prm_eval.texts.steps import split_steps

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """All three models at a toy size, by the function behind ``prm-eval miniature all``."""
    folder = tmp_path_factory.mktemp("miniature") / "weights"
    make("all", folder, settings=TINY)
    return folder


# The corpus


def corpus_candidates(count: int, seed: int) -> list[Labelled]:
    """Solutions of the noise process, with its rare errors, labelled by the oracle."""
    rng = random.Random(f"noise {seed}")
    problems = training_problems(count, "noise", seed)
    return [label(each, "\n".join(write_solution(each.plan, rng, RARE)), "corpus") for each in problems]


def test_a_fact_has_one_misconception_and_its_probabilities_sum_to_one() -> None:
    # else the policy's mistakes would be random slips, which a majority vote removes
    for table in facts():
        for operator, left, right, value in table[::7]:
            assert misconception(operator, left, right) == misconception(operator, left, right)
            values, weights = outcomes(CORPUS, operator, left, right)
            assert values[0] == value
            assert abs(sum(weights) - 1) < 1e-9 and min(weights) > 0
            assert len(set(values)) == len(values)


def test_the_corpus_holds_every_kind_of_mistake() -> None:
    # a kind of mistake that no verifier has seen is what best-of-n finds
    found: Counter[str] = Counter()
    for each in corpus_candidates(3_000, 5):
        if each.first_wrong is None:
            found["sound" if each.answer_right else "impossible"] += 1
        else:
            found["false positive" if each.answer_right else "wrong"] += 1
    assert not found["impossible"]
    assert found["false positive"] > 60
    assert found["sound"] > 600 and found["wrong"] > 800
    reasons: Counter[str] = Counter()
    rng = random.Random(1)
    for each in islice(iter_problems("train", 3), 2_000):
        labels = judge(each.plan, "\n".join(write_solution(each.plan, rng, RARE))).labels
        reasons.update(step.reason for step in labels if not step.right)
    assert min(reasons[kind] for kind in ("value", "unfounded", "unsupported")) > 30
    assert not reasons["form"]  # or the policy would learn to write lines outside the grammar


def test_drills_state_true_facts_of_the_tables(encoder) -> None:
    # a false drill would teach every model a wrong fact
    assert all(admissible(op, a, b) and evaluate(op, a, b) == value for table in facts() for op, a, b, value in table)
    example = drill_example(encoder, random.Random(0))
    text = encoder.decode(example.ids)
    assert len(text.split("\n")) == 10
    for at, target in enumerate(example.targets):
        assert target in (IGNORED, example.ids[at + 1] if at + 1 < len(example.ids) else IGNORED)
    trained = encoder.decode([each for each in example.targets if each != IGNORED])
    stated = [line.split(" = ")[1] for line in text.strip().split("\n")]
    assert trained.replace("\n", "") == "".join(stated)


def test_training_draws_no_test_problem() -> None:
    # the figures would be worth nothing
    from prm_eval.miniature.plan import normal_form

    rng = random.Random(4)
    from prm_eval.miniature.data import draw_training

    assert {split_of(normal_form(draw_training(rng)[1])) for _ in range(300)} == {"train"}
    forms = drawn_for_training(3, TINY)
    assert {split_of(form) for form in forms} == {"train"}
    assert len(forms) > 1_000
    assert {each.normal_form for each in training_problems(TINY.written_problems, "lessons", 3)} <= forms
    assert {each.normal_form for each in training_problems(TINY.sampled_problems, "policy-candidates", 3)} <= forms


# The tokenizer


def test_every_text_of_the_family_survives_the_tokenizer(encoder) -> None:
    # a candidate that decodes to another text than was sampled would be graded as something nobody wrote
    tokenizer = make_tokenizer()
    rng = random.Random(2)
    for split in ("train", "validation", "test"):
        for each in islice(iter_problems(split, 9), 350):
            text = each.problem.statement + "\n" + "\n".join(write_solution(each.plan, rng, RARE))
            ids = tokenizer(text)["input_ids"]
            assert ids == encoder.encode(text)
            assert tokenizer.unk_token_id not in ids, text
            assert tokenizer.decode(ids) == encoder.decode(ids) == text
            assert len(ids) < 0.75 * MAX_TOKENS


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("9 - 24 = -15", ["9", " - ", "24", " = ", "-15"]),
        ("3 \\cdot (-4)", ["3", " \\cdot ", "(", "-4", ")"]),
        ("199 -199 200 -200", ["199", " ", "-199", " ", "2", "0", "0", " ", "-", "2", "0", "0"]),
        ("-0 07", ["-", "0", " ", "0", "7"]),
        ("\\frac{45}{9}", ["\\frac{", "45", "}{", "9", "}"]),
    ],
)
def test_how_numbers_are_cut(encoder, text, tokens) -> None:
    # a number that is one token here and two there could not be looked up as a fact
    assert split_text(text) == tokens
    assert encoder.encode(text) == make_tokenizer()(text)["input_ids"]


def test_special_tokens_are_no_text(encoder) -> None:
    # else a candidate could end or hide itself by writing a control token
    assert [encoder.ids[each] for each in (PAD, END, UNKNOWN)] == [0, 1, 2]
    assert not {0, 1} & set(encoder.encode(f"{PAD}{END}"))
    assert encoder.encode("ß") == [2]


# Targets


PROBLEM = next(each for each in iter_problems("train", 0) if len(each.plan.operations) == 4)


def test_labels_stop_at_the_first_wrong_step(encoder) -> None:
    # the paper's appendix F: nothing is said of steps after the first mistake
    lines = list(solve(PROBLEM.plan))
    lines[1] = lines[1].rsplit(" = ", 1)[0] + " = 77"
    candidate = label(PROBLEM, "\n".join(lines))
    assert (candidate.first_wrong, candidate.answer_right) == (1, True)
    example = verifier_example(encoder, candidate, "prm")
    newlines = [at for at, token in enumerate(example.ids) if token == encoder.newline]
    assert [example.targets[at] for at in newlines] == [IGNORED, 1, 0, IGNORED, IGNORED, IGNORED]
    assert sum(target != IGNORED for target in example.targets) == 2


@pytest.mark.parametrize(("kind", "expected"), [("orm", 1), ("oracle", 0)])
def test_an_outcome_is_on_every_token_of_the_solution(encoder, kind, expected) -> None:
    # the paper's appendix E; and only the oracle's outcome may know of right answers by wrong reasoning
    lines = list(solve(PROBLEM.plan))
    lines[0] = lines[0].rsplit(" = ", 1)[0] + " = 77"
    candidate = label(PROBLEM, "\n".join(lines))
    example = verifier_example(encoder, candidate, kind)
    prompt = len(encoder.encode(candidate.statement + "\n"))
    assert example.targets == [IGNORED] * prompt + [expected] * (len(example.ids) - prompt)


def test_the_policy_learns_the_solution_and_to_end(encoder) -> None:
    # a policy that also learnt statements, or no end, would waste its size or run to the limit
    lines = solve(PROBLEM.plan)
    example = solution_example(encoder, PROBLEM.problem.statement, lines)
    assert len(example.ids) == len(example.targets)
    trained = [each for each in example.targets if each != IGNORED]
    assert encoder.decode(trained) == "\n".join(lines) and trained[-1] == encoder.end
    for at, target in enumerate(example.targets[:-1]):
        assert target in (IGNORED, example.ids[at + 1])


# Batches and training


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_batch_depends_on_seed_and_number_only(encoder) -> None:
    # else a run that was cut off would go on with other data
    def stream(seed: int) -> Stream:
        return Stream("policy", seed, corpus_text(encoder), encoder.pad)

    walked = stream(0)
    batches = [walked(index) for index in range(10)]
    assert same(stream(0)(9), batches[9])
    assert not same(stream(1)(9), batches[9])
    candidates = corpus_candidates(200, 0)
    epochs = Epochs(0, candidates, "prm")
    for number in (0, 1):
        seen = sum(
            int((epochs(number * epochs.batches + at)["input_ids"] == encoder.ids["\\boxed{"]).sum())
            for at in range(epochs.batches)
        )
        assert seen == 200
    assert same(Epochs(0, candidates, "prm")(1), epochs(1))


def test_both_verifiers_learn_from_the_same_rows(encoder) -> None:
    # else a difference between ORM and PRM could be one of data, not of labels
    lessons = Lessons(3, 100, training_problems(50, "lessons", 3))
    for number in (0, 99):
        prm, orm = (lessons.batch(number, kind, encoder) for kind in ("prm", "orm"))
        assert torch.equal(prm["input_ids"], orm["input_ids"])
        assert torch.equal(prm["attention_mask"], orm["attention_mask"])
        assert len(prm["read"]) < len(orm["read"])
        assert same(Lessons(3, 100, lessons.problems).batch(number, "prm", encoder), prm)


def test_facts_are_half_of_the_rows_first_and_few_at_the_end() -> None:
    # one-operation problems teach the large tables; at the end the verifier must see whole solutions
    lessons = Lessons(0, 1_000, training_problems(100, "lessons", 0))
    for number, share in ((0, 0.5), (599, 0.5), (600, 0.15), (999, 0.15)):
        sizes = {True: 0, False: 0}
        for group in islice(lessons.groups(number), 300):
            sizes[len(split_steps(group[0].text, "line")) == 2] += sum(len(each.text) for each in group)
        assert sizes[True] / sum(sizes.values()) == pytest.approx(share, abs=0.07)


def test_candidates_of_the_policy_come_in_at_the_end() -> None:
    # without them the verifiers have not seen how the policy itself goes wrong
    sampled = [[label(each, "nobody wrote this")] for each in training_problems(3, "own", 0)]
    lessons = Lessons(0, 1_000, training_problems(100, "lessons", 0), sampled)

    def share(number: int) -> float:
        whole = [each for each in islice(lessons.groups(number), 400) if "miniature-fact" not in each[0].origin]
        own = sum(each[0].text == "nobody wrote this" for each in whole)
        return own / max(1, sum(len(split_steps(each[0].text, "line")) > 2 for each in whole) + own)

    assert share(0) == share(599) == 0
    assert 0.2 < share(600) < 0.4


def test_a_fact_is_asked_with_right_and_wrong_values() -> None:
    # candidates that are all right, or all equal, teach nothing
    rng = random.Random(0)
    groups = [one_operation(rng) for _ in range(300)]
    assert len(set(all_facts())) == len(all_facts()) == 6_198
    assert all(len({each.text for each in group}) == len(group) for group in groups)
    assert sum(len(group) == 3 for group in groups) > 290
    right = [any(each.answer_right for each in group) for group in groups]
    assert sum(right) > 240
    for group in groups:
        for each in group:
            assert each.answer_right == (each.first_wrong is None)


def test_packed_candidates_are_read_as_if_alone(encoder) -> None:
    # a candidate that saw another one, or stood at another position, would be trained on what is never scored
    from prm_eval.miniature.models import new_model
    from prm_eval.training.attention import float32_attention
    from prm_eval.training.network import readable

    network = readable(new_model(TINY.shape, 1, labels=2).eval(), ())
    lessons = Lessons(0, 10, training_problems(20, "lessons", 0))
    packer, alone = Packer(encoder.pad), []
    # a policy that never comes to an end writes more than a row takes: trained on all the same
    endless = Labelled("Evaluate $1 + 1$.", "\n".join(["1 + 1 = 2"] * 40), None, True)
    assert not packer.place(encoder.encode(endless.statement + "\n"), [solution_read(encoder, endless, "prm")])
    alone.append(verifier_example(encoder, endless, "prm"))
    for group in lessons.groups(0):
        statement = encoder.encode(group[0].statement + "\n")
        left = packer.place(statement, [solution_read(encoder, each, "prm") for each in group])
        texts = [encoder.decode(each.ids[:-1]) for each in left]
        alone += [verifier_example(encoder, each, "prm") for each in group if each.text not in texts]
        if left:
            break

    def logits(inputs: dict) -> torch.Tensor:
        given = {name: each for name, each in inputs.items() if name not in ("targets", "weights")}
        with torch.no_grad():
            return network(**given)["logits"]

    packed, rows = packer.inputs(), padded(alone, encoder.pad)
    found, expected = logits(packed), logits(rows)
    with float32_attention(network):
        assert torch.allclose(logits(packed), found, atol=1e-6)
    assert network.config._attn_implementation == "sdpa"
    order = [found[:, 1].argsort(), expected[:, 1].argsort()]
    assert torch.allclose(found[order[0]], expected[order[1]], atol=1e-5)
    # a packed row of a problem that did not fit whole holds its statement again, so rows differ from the order above
    assert sorted(packed["targets"].tolist()) == sorted(rows["targets"].tolist())


@pytest.mark.parametrize("half", ["bfloat16", None])
def test_training_goes_on_as_if_it_had_not_been_cut_off(tmp_path, encoder, monkeypatch, half) -> None:
    # else shipped weights could not be made again from their seed, on processors with and without bfloat16
    from prm_eval.miniature.models import new_model

    monkeypatch.setattr("prm_eval.miniature.train.half_precision", lambda device: half)

    def run(folder: Path, *stops: int | None) -> dict[str, torch.Tensor]:
        for stop in stops:
            model = new_model(TINY.shape, 7)
            stream = Stream("policy", 7, corpus_text(encoder), encoder.pad)
            with nullcontext() if stop is None else pytest.raises(KeyboardInterrupt):
                fit(model, stream, Schedule(12), folder, save_every=1, stop_after=stop)
        # mixed precision is taken off again
        inputs = {"input_ids": torch.arange(10)[None]}
        assert torch.equal(model(**inputs).logits, type(model).forward(model, **inputs).logits)
        return model.state_dict()

    whole = run(tmp_path / "whole", None)
    resumed = run(tmp_path / "resumed", 5, 9, None)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    again = run(tmp_path / "whole", None)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_trained_model_is_trained_further_like_any_other(tmp_path, encoder, monkeypatch) -> None:
    # accelerate took a model that it had prepared once for ready: what went on from it computed in float32
    from prm_eval.miniature.models import new_model

    monkeypatch.setattr("prm_eval.miniature.train.half_precision", lambda device: "bfloat16")
    stream = Stream("policy", 7, corpus_text(encoder), encoder.pad)
    first = fit(new_model(TINY.shape, 7), stream, Schedule(2), tmp_path / "first")
    other = new_model(TINY.shape, 8)
    other.load_state_dict(first.state_dict())
    ones, others = (
        fit(model, stream, Schedule(3), tmp_path / name).state_dict()
        for name, model in (("ones", first), ("others", other))
    )
    assert all(torch.equal(ones[name], others[name]) for name in ones)


@pytest.mark.parametrize(("falls", "half", "end"), [("cosine", 0.51, 0.02), ("line", 1.0, 0.002)])
def test_the_rate_rises_and_falls(falls, half, end) -> None:
    # a rate that stays high at the end leaves the weights where the last batch threw them
    schedule = Schedule(1_000, falls=falls)
    factors = [schedule.factor(step) for step in range(1_000)]
    assert factors[:20] == sorted(factors[:20]) and factors[19] == 1
    assert factors[500] == pytest.approx(half, abs=0.03)
    assert factors[999] == pytest.approx(end, abs=0.001)


def test_sampling_cuts_the_tail(made) -> None:
    # what is left of the tail is what best of 64 finds: the pools say top-p 0.95
    from prm_eval.miniature.sampling import nucleus

    odds = torch.tensor([[0.5, 0.2, 0.2, 0.06, 0.04], [0.96, 0.01, 0.01, 0.01, 0.01]])
    assert (nucleus(odds, 0.95) > 0).tolist() == [[True, True, True, True, False], [True] + [False] * 4]
    assert torch.equal(nucleus(odds, 1.0), odds)
    from transformers import TopPLogitsWarper

    logits = torch.randn(50, 40, generator=torch.Generator().manual_seed(0))
    theirs = TopPLogitsWarper(0.8)(None, logits) > -torch.inf
    assert torch.equal(nucleus(torch.softmax(logits, -1), 0.8) > 0, theirs)


def test_the_whole_command(made) -> None:
    # what the issue asks of the output: ordinary checkpoints, equal candidates for both verifiers, a record
    from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

    for kind, loader in (
        ("policy", AutoModelForCausalLM),
        ("backbone", AutoModelForCausalLM),
        ("orm", AutoModelForTokenClassification),
        ("prm", AutoModelForTokenClassification),
    ):
        folder = made / f"miniature-{kind}"
        model = loader.from_pretrained(folder)
        assert model.dtype == torch.bfloat16
        assert len(AutoTokenizer.from_pretrained(folder)) == model.config.vocab_size
    record = {
        stage: json.loads((made / "work" / f"{stage}.json").read_text()) for stage in ("candidates", "orm", "prm")
    }
    assert record["orm"]["steps"] == record["prm"]["steps"] == TINY.verifier.steps
    # who trains again and gets other bytes has to see whether it was the processor
    assert {each["processor"] for each in record.values()} == {device_name("cpu")}
    assert len(read_candidates(made / "work" / "candidates.jsonl")) == record["candidates"]["sampled_different"]
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()}
    make("all", made, settings=TINY)
    assert before == {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()}


def test_a_folder_holds_one_making(made) -> None:
    # else a policy of one seed or length and verifiers of another would be called one set
    for given in ({"seed": 1}, {"settings": replace(TINY, policy=Schedule(21))}):
        with pytest.raises(PrmEvalError, match=r"made_with.json: found .* expected .* Name another --output"):
            make("all", made, **{"settings": TINY, **given})


@pytest.mark.parametrize("missing", ["precision", "backbone"])
def test_a_folder_of_before_says_what_it_did_not(made, tmp_path, missing) -> None:
    # "all" would stop at hours of work that it could go on with
    folder = tmp_path / "made"
    shutil.copytree(made, folder)
    path = folder / "work" / "made_with.json"
    held = json.loads(path.read_text())
    assert held.pop(missing) == {"precision": precision_of("cpu"), "backbone": None}[missing]
    path.write_text(json.dumps(held))
    with nullcontext() if held.get("precision", "bfloat16") == precision_of("cpu") else pytest.raises(PrmEvalError):
        make("all", folder, settings=TINY)


def test_a_backbone_may_be_taken(made, tmp_path) -> None:
    # other seeds would train arithmetic again, half an hour on a processor without bfloat16
    folder, backbone = tmp_path / "made", made / "miniature-backbone"
    record = make("policy", folder, seed=3, settings=TINY, backbone=backbone)
    assert record["backbone"]["taken_from"] == {"model.safetensors": file_sha256(backbone / "model.safetensors")}
    assert not (folder / "work" / "backbone" / "log.jsonl").exists()
    with pytest.raises(PrmEvalError, match=r"made_with.json: found .* expected .* Name another --output"):
        make("policy", folder, seed=3, settings=TINY)
    with pytest.raises(PrmEvalError, match=r": no config.json there; expected a backbone, as prm-eval miniature"):
        make("policy", tmp_path / "other", settings=TINY, backbone=tmp_path)
    with pytest.raises(PrmEvalError, match=r"found no language model; expected one of Shape\(width=16"):
        make("policy", tmp_path / "other", settings=TINY, backbone=made / "miniature-prm")
    with pytest.raises(PrmEvalError, match=r"found Shape\(width=128.*; expected one of Shape\(width=16"):
        make("policy", tmp_path / "other", settings=TINY, backbone=WEIGHTS / "miniature-backbone")
    assert not (tmp_path / "other").exists()


def test_figures_of_two_seeds(made, tmp_path) -> None:
    # else three seeds would be three tables, and nobody could say what a fourth one does
    from prm_eval.miniature.figures import figures

    other = tmp_path / "seed3"
    make("all", other, seed=3, settings=TINY)
    sizes = {"count": 35, "candidates": 4}
    found = figures([made, other], tmp_path / "out", **sizes)
    stored = [json.loads((tmp_path / "out" / each / "figures.json").read_text()) for each in (".", "weights", "seed3")]
    alone = figures([made], tmp_path / "alone", **sizes)
    assert stored[1] == json.loads((tmp_path / "alone" / "figures.json").read_text())
    for name, values in found.curves.items():
        both = zip(stored[1]["curves"][name], stored[2]["curves"][name], strict=True)
        assert values == pytest.approx([sum(each) / 2 for each in both], abs=1e-3)
    assert [each.seeds for each in alone.figures] == [()] * len(alone.figures)
    assert len(found.figures[0].seeds) == 2 and found.figures[0].seeds[0] == alone.figures[0].value
    assert f"  ({', '.join(f'{each:.1f}' for each in found.figures[0].seeds)})" in found.text
    assert [each["name"] for each in stored[0]["models"]] == ["weights", "seed3"]
    assert [each["pool"] for each in stored[0]["models"]] == [stored[1]["pool"], stored[2]["pool"]]
    shutil.copytree(other / "miniature-orm", tmp_path / "third" / "miniature-orm")
    for kind in ("policy", "prm"):
        shutil.copytree(made / f"miniature-{kind}", tmp_path / "third" / f"miniature-{kind}")
    with pytest.raises(PrmEvalError, match=r"seed3 and .*third: the same orm; expected another seed's"):
        figures([other, tmp_path / "third"], tmp_path / "none", **sizes)
    assert not (tmp_path / "none").exists()


def test_samples_depend_on_the_seed_and_keep_their_order(made) -> None:
    # else a pool could not be sampled again, or candidates would answer another problem
    from prm_eval.miniature.models import load_model
    from prm_eval.miniature.sampling import sample

    policy = load_model(made / "miniature-policy")
    statements = [each.problem.statement for each in miniature_problems("validation", 0, 4)]
    first = sample(policy, statements, 3, 0.7, 5)
    assert [len(each) for each in first] == [3] * 4
    assert sample(policy, statements, 3, 0.7, 5) == first
    assert sample(policy, statements, 3, 0.7, 6) != first
    nearly_greedy = sample(policy, statements, 2, 1e-4, 0)
    assert [group[0] for group in nearly_greedy] == [sample(policy, [s], 1, 1e-4, 1)[0][0] for s in statements]
    labelled = policy_candidates(policy, miniature_problems("validation", 0, 2), 2, temperature=1.0, seed=0)
    assert len({(each.statement, each.text) for each in labelled}) == len(labelled)


@pytest.mark.parametrize("kind", ["prm", "orm"])
def test_verifiers_are_scored_as_they_were_trained(made, encoder, kind) -> None:
    # other ids, another read position or the other label would be a verifier that nobody trained
    from prm_eval.miniature.models import load_model
    from prm_eval.miniature.verifiers import score
    from prm_eval.rewards import load_reward_model

    texts = [(each.statement, each.text) for each in corpus_candidates(24, 3)]
    model = load_reward_model(str(made / f"miniature-{kind}"), dtype="float32")
    assert model.describe()["recipe"] == f"miniature-{kind}"  # known by its folder
    assert (model.kind, model.score_type) == (kind, "logodds")
    own = score(load_model(made / f"miniature-{kind}", kind), texts, kind)
    items = [ScoringItem(*key, tuple(split_steps(key[1], "line"))) for key in texts]
    for key, item, got in zip(texts, items, model.score(items), strict=True):
        rendered = model.render(item)
        example = verifier_example(encoder, Labelled(*key, None, True), kind)
        trained = [at for at, target in enumerate(example.targets) if target != IGNORED]
        assert list(rendered.ids) == example.ids
        assert list(rendered.positions) == (trained if kind == "prm" else trained[-1:])
        assert got.values == pytest.approx(own[key], abs=1e-4)


def test_figures_of_a_toy(made, tmp_path) -> None:
    # the whole way from weights to figures, and that a second call makes nothing again
    from prm_eval.miniature.figures import figures

    found = figures([made], tmp_path / "out", count=35, candidates=4)
    assert [each.name for each in found.figures][:1] == ["mean@1"]
    assert not found.held  # a toy policy answers nothing
    assert "NOT HELD" in found.text
    stored = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert len(stored["figures"]) == len(found.figures) and stored["ns"] == [1, 2, 4]
    before = (tmp_path / "out" / "pool" / "pool.json").stat().st_mtime_ns
    assert figures([made], tmp_path / "out", count=35, candidates=4) == found
    assert (tmp_path / "out" / "pool" / "pool.json").stat().st_mtime_ns == before
    for other, named in (({"split": "test"}, "miniature:test:1:35"), ({"count": 70}, "miniature:validation:0:70")):
        with pytest.raises(PrmEvalError, match=f"problems miniature:validation:0:35; expected {named}. Give another"):
            figures([made], tmp_path / "out", **({"count": 35, "candidates": 4} | other))
    with pytest.raises(PrmEvalError, match=r"folders of models are called weights, weights; expected a different name"):
        figures([made, made], tmp_path / "other", count=35, candidates=4)
    with pytest.raises(PrmEvalError, match=r"no miniature-policy with a config.json in it"):
        figures([made / "miniature-policy"], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_small_numbers_of_the_tables() -> None:
    # 6,198 facts are what a verifier must know by heart; a change of the family should be noticed here
    different = {fact for table in facts() for fact in table}
    assert len(different) == 6_198
    assert Fraction(1) in {fact[3] for fact in different}


WEIGHTS = Path(prm_eval.__file__).parent / "miniature" / "weights"


def test_shipped_weights_are_small_and_ordinary() -> None:
    # what the issue allows: at most 4 MB each and 8 MB in all, loadable without our code
    files = {path.parent.name: path.stat().st_size for path in WEIGHTS.glob("*/*.safetensors")}
    assert set(files) == {"miniature-policy", "miniature-backbone", "miniature-orm", "miniature-prm"}
    assert max(files.values()) <= 4e6 and sum(files.values()) <= 8e6
    for name in files:
        config = json.loads((WEIGHTS / name / "config.json").read_text())
        assert "auto_map" not in config and config["dtype"] == "bfloat16"
        tokenizer = json.loads((WEIGHTS / name / "tokenizer_config.json").read_text())
        assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"  # transformers 4.57 knows no other name
        assert (WEIGHTS / name / "model.safetensors").stat().st_mode & 0o044  # readable in a shared installation
        assert json.loads((WEIGHTS / name / "tokenizer.json").read_text())["model"]["vocab"] == Encoder().ids


@pytest.mark.slow
def test_shipped_weights_do_what_the_card_says(tmp_path) -> None:
    # weights of another training, a broken conversion or a changed family would show here; the bounds leave room for 35
    # problems
    from prm_eval.miniature.figures import figures

    found = figures([WEIGHTS], tmp_path / "out", count=35, candidates=16)
    assert 25 < found.curves["oracle"][0] < 70
    assert found.curves["oracle"][-1] > 85
    assert found.curves["best_of_n, prm"][-1] > found.curves["oracle"][0] + 10
    assert found.curves["weighted_majority, prm"][-1] > found.curves["oracle"][0] + 10
