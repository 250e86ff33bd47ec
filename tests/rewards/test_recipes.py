"""Recipes at work: every bug of the field's harnesses as a test, wrong tokenizers and checkpoints refused, hostile
texts."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
import transformers
from safetensors.torch import load_file, save_file

from prm_eval.errors import ModelError
from prm_eval.records import ScoringItem
from prm_eval.rewards import aggregate, load_reward_model
from prm_eval.rewards.inputs.renderer import numbered
from prm_eval.rewards.models.heads import build_head, values
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.rewards.recipes.recipe import Head, Score
from prm_eval.texts.steps import split_steps
from tests.conftest import ROOT, make_tokenizer, tiny_model
from tests.rewards import tiny as tiny_models

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

torch.set_num_threads(1)
READING = [
    name
    for name, recipe in shipped_recipes().items()
    if recipe.head.type not in ("generate", "logratio") and not recipe.refused
]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return tiny_models.build_models(tmp_path_factory.mktemp("tiny"))


def item(problem: str, *steps: str) -> ScoringItem:
    return ScoringItem(problem, "\n\n".join(steps), steps)


# --- the bugs of other harnesses
# -----------------------------------------------------------------------------------------


def test_a_probability_that_underflows_keeps_its_place() -> None:
    """Masking by "probability is not 0" drops a step whose probability underflows, and shifts all that follow."""
    logits = torch.tensor([[0.0, 300.0], [300.0, 0.0], [0.0, 0.0]])
    found = values(Score("two_way", good=(1,), bad=(0,)), logits)
    assert found == (300.0, -300.0, 0.0)
    assert float(torch.softmax(logits, -1)[1, 1]) == 0.0  # which is what others would have dropped
    assert aggregate(found, "prod", "logodds")[0] == pytest.approx(-300 - math.log(2))


def test_padding_changes_nothing_and_nothing_is_truncated(tiny) -> None:
    """Without a mask, or with truncation, long and short candidates in one batch change each other's rewards or lose
    steps."""
    model = load_reward_model(str(tiny["qwen2.5-math-prm"]))
    items = [item("Q", "a"), item("Q", *["So x = 2."] * 40)]
    together, alone = model.score(items), [model.score([each])[0] for each in items]
    for one, other, each in zip(together, alone, items, strict=True):
        assert one.values == pytest.approx(other.values, abs=1e-5)
        assert len(one.values) == len(each.steps)
    short = load_reward_model(str(tiny["qwen2.5-math-prm"]), max_tokens=60).score(items)
    assert short[0].refusal is None
    assert short[1].refusal.startswith("over-length: ")
    assert short[1].values == ()


def test_the_aggregation_is_the_authors_unless_the_user_says_otherwise(tiny) -> None:
    """A configured aggregation that is ignored ("last" hard-coded) makes every table wrong."""
    assert load_reward_model(f"math-shepherd:{tiny['math-shepherd']}").aggregation == "min"
    assert load_reward_model(f"rlhflow-prm-deepseek:{tiny['rlhflow-prm-deepseek']}").aggregation == "mean"
    assert load_reward_model(f"math-shepherd:{tiny['math-shepherd']}", aggregation="last").aggregation == "last"


@pytest.mark.parametrize("text", ["a\n\nb", "a\n\nb\n\n", "a\n\n\n\nb", "\n\na\n\n \n\nb\n\n\n"])
def test_as_many_rewards_as_steps(tiny, text) -> None:
    """Trailing or doubled blank lines are no steps, and there is one separator for each step, no more."""
    each = ScoringItem("Q", text, split_steps(text, "blank_line"))
    rendered = load_reward_model(str(tiny["qwen2.5-math-prm"])).render(each)
    assert [rendered.ids[i] for i in rendered.positions] == [151651, 151651]
    assert rendered.ids.count(151651) == 2


@pytest.mark.parametrize(
    ("name", "marker"),
    [
        ("qwen2.5-math-prm", "<extra_0>"),
        ("math-shepherd", "ки"),
        ("versaprm", " \n\n\n\n"),
        ("math-psa", " \n\n\n\n\n"),
    ],
)
def test_a_separator_in_a_text_is_not_read_as_a_step(tiny, name, marker) -> None:
    """A candidate that writes the tag itself would get more rewards than it has steps; it is refused, its neighbours
    are not."""
    model = load_reward_model(f"{name}:{tiny[name]}")
    clean = item("What is 1+1?", "So x = 2.", "b")
    for hostile in (item("Q", f"a {marker} b", "c"), item(f"Q {marker} b", "a", "c"), item("Q", f"a {marker}")):
        found = model.score([clean, hostile, clean])
        assert "in the text" in found[1].refusal
        assert found[0].values == found[2].values
        assert len(found[0].values) == 2


def test_two_way_means_two_rows_of_the_vocabulary(tiny) -> None:
    """A softmax over the whole vocabulary read at one id depends on every other token; ours is the same whatever those
    are."""
    matrix = torch.randn(50, 16)
    hidden = torch.randn(3, 16)
    head = Head("lm_rows", rows={"+": 10, "-": 12})
    before = values(Score("two_way", (0,), (1,)), build_head(head, {"lm_head.weight": matrix}, "m", 16, "cpu")(hidden))
    matrix[[i for i in range(50) if i not in (10, 12)]] += 5
    after = values(Score("two_way", (0,), (1,)), build_head(head, {"lm_head.weight": matrix}, "m", 16, "cpu")(hidden))
    assert before == after
    mean = build_head(Head("lm_row_mean"), {"lm_head.weight": matrix}, "m", 16, "cpu")(hidden)
    assert torch.allclose(mean[:, 0], (hidden @ matrix.T).mean(-1), atol=1e-5)


def test_skywork_is_read_at_newlines(tiny) -> None:
    """Fed another model's step tag, it gives numbers that mean nothing."""
    rendered = load_reward_model(f"skywork-o1-prm:{tiny['skywork-o1-prm']}").render(item("Q", "a", "b (x)."))
    assert [rendered.ids[i] for i in rendered.positions] == [198, 198]


def test_the_length_limit_is_the_models_not_a_default_of_512(tiny) -> None:
    """Steps beyond the 512th token are scored like the others."""
    each = item("Q", *["We add the numbers, then 1 + 1 + 1 + 1 + 1 + 1."] * 60)
    [found] = load_reward_model(str(tiny["qwen2.5-math-prm"])).score([each])
    assert found.n_tokens > 1_000
    assert len(found.values) == 60


def test_prompt_tokens_add_nothing_to_an_implicit_reward(tiny) -> None:
    """A label mask made after its own marks were overwritten is always true, and the prompt is rewarded too."""
    model = load_reward_model(f"eurusprm-stage2:{tiny['eurusprm-stage2']}", reference=str(tiny["eurusprm-reference"]))
    each = item("What is 1+1?", "a", "b")
    rendered, start = model.render(each), model.renderer.start_of_steps(each)
    ratio = torch.zeros(len(rendered.ids) - 1, dtype=torch.float64)
    ratio[: start - 2] = 1e9  # log-ratios of the tokens before the last one of the prompt
    assert model._steps(rendered, ratio, start - 1) == (0.0, 0.0)


def test_separators_are_appended_as_ids(tiny) -> None:
    r"""Text and separator tokenised together merge (".\n\n" is one token): other ids than in training, four F1
    points."""
    model = load_reward_model(f"pure:{tiny['pure']}")
    rendered = model.render(item("Q", "So x = 2.", "b"))
    tokenizer = model.tokenizer
    together = tokenizer("QSo x = 2.\n\nb\n\n", add_special_tokens=False)["input_ids"]
    assert list(rendered.ids) != together
    assert [rendered.ids[i] for i in rendered.positions] == [271, 271]


def test_a_control_token_as_separator_is_the_recipes_own(models) -> None:
    """Counted as the candidate's, it would refuse every candidate; not looked for in the text, it would add steps."""
    model = load_reward_model(str(models["prm"]), separator="<s>")
    rendered = model.render(item("Q", "a", "b"))
    assert model.tokenizer.convert_ids_to_tokens(list(rendered.ids)) == ["<s>", "Q", "a", "<s>", "b", "<s>"]
    assert (rendered.refusal, rendered.positions) == (None, (3, 5))
    assert model.score([item("Q", "a<s>", "b")])[0].refusal == "special token '<s>' in the text"


def test_no_separator_between_problem_and_first_step(models) -> None:
    """TRL's inference example puts one there, its training does not."""
    rendered = load_reward_model(str(models["prm"])).render(item("Q", "a", "b"))
    characters = load_reward_model(str(models["prm"])).tokenizer.convert_ids_to_tokens(list(rendered.ids))
    assert characters == ["<s>", "Q", "a", "\n", "b", "\n"]
    assert rendered.positions == (3, 5)


def test_prompts_do_not_depend_on_the_day(tiny, tmp_path) -> None:
    """Llama-3 templates print today's date, by a variable or by a clock; ours is 26 July 2024 for ever."""
    model = load_reward_model(f"rlhflow-orm:{tiny['rlhflow-orm']}")
    assert "Today Date: 26 Jul 2024" in model.tokenizer.decode(list(model.render(item("Q", "a")).ids))
    folder = tiny_model(tmp_path / "orm", "SequenceClassification", labels=1)
    tokenizer = make_tokenizer()
    for clock in ("{{ strftime_now('%d %b %Y') }}", "{{ date_string }}"):
        tokenizer.chat_template = clock + "{% for m in messages %}[{{ m.content }}]{% endfor %}"
        tokenizer.save_pretrained(folder)
        own = load_reward_model(str(folder))
        assert "".join(own.tokenizer.convert_ids_to_tokens(list(own.render(item("Q", "a")).ids))) == "26 Jul 2024[Q][a]"


def test_code_in_a_checkpoint_is_not_run(tiny) -> None:
    """Every tiny vendor checkpoint names code of its own that ends the process when it is imported."""
    config = json.loads((tiny["qwen2.5-math-prm"] / "config.json").read_text())
    assert config["auto_map"]
    assert "SystemExit" in (tiny["qwen2.5-math-prm"] / "modeling_own.py").read_text()
    assert load_reward_model(str(tiny["qwen2.5-math-prm"])).score([item("Q", "a")])[0].refusal is None


# --- wrong tokenizers, wrong checkpoints
# ---------------------------------------------------------------------------------


def test_a_wrong_tokenizer_is_an_error_not_a_number(tiny, tmp_path) -> None:
    """The message names the text, the id found and the id expected."""
    for name, other, message in (
        ("math-psa", "qwen2.5-math-prm", "' \\n\\n\\n\\n\\n' is id"),
        ("math-shepherd", "qwen2.5-math-prm", "expected 12902"),
        ("qwen2.5-math-prm", "versaprm", "expected 151651"),
        ("skywork-o1-prm", "qwen2.5-math-prm", "no bos token"),
        ("eurusprm-stage1", "math-shepherd", "no chat template"),
    ):
        with pytest.raises(ModelError) as caught:
            load_reward_model(
                f"{name}:{tiny[other]}", **({"reference": str(tiny[other])} if name == "eurusprm-stage1" else {})
            )
        assert message in str(caught.value), name


def damaged(source: Path, target: Path, change) -> Path:
    target.mkdir()
    for file in source.iterdir():
        if file.suffix != ".safetensors":
            (target / file.name).write_bytes(file.read_bytes())
    tensors = load_file(source / "model.safetensors")
    change(tensors)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.norm.weight"), "lacks: norm.weight"),
        (lambda t: t.update({"model.layers.0.own.weight": torch.ones(2)}), "does not know"),
        (lambda t: t.pop("score.2.weight"), "has no tensor score.2.weight, the head of the recipe qwen2.5-math-prm"),
        (lambda t: t.update({"score.2.weight": torch.ones(3, 16)}), "score.2.weight is 3 x 16; expected 2 x 16"),
    ],
)
def test_missing_and_unknown_tensors_are_errors(tiny, tmp_path, change, message) -> None:
    """Random weights in the place of missing ones give plausible numbers."""
    with pytest.raises(ModelError) as caught:
        load_reward_model(str(damaged(tiny["qwen2.5-math-prm"], tmp_path / "m", change))).score([item("Q", "a")])
    assert message in str(caught.value)


def test_another_models_head_is_found_before_generation(tiny, models) -> None:
    """Constructing fails, not the first score after hours of generation."""
    with pytest.raises(ModelError, match=r"has no tensor score\.weight, the head of the recipe token-classification"):
        load_reward_model(f"token-classification:{tiny['math-shepherd']}")


def test_shards_are_read_by_their_index(tiny, tmp_path) -> None:
    """A sharded checkpoint works (parity is tested on one), and a missing shard is named."""
    source = tiny["math-shepherd"]
    assert (source / "model.safetensors.index.json").is_file()
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    victim = sorted(tmp_path.glob("*.safetensors"))[0]
    model = load_reward_model("math-shepherd:" + str(tmp_path))
    victim.unlink()
    with pytest.raises(ModelError, match=f"lacks {victim.name}"):
        model.score([item("Q", "a")])


def test_tied_models_read_their_input_matrix(tmp_path) -> None:
    """Small Qwen models store one matrix; it is the output matrix too."""
    tokenizer = tiny_models.qwen_tokenizer({" +": 488, " -": 481, " \n\n\n\n\n": 76325})
    config = tiny_models.config("Qwen2", 152_064)
    config.tie_word_embeddings = True
    causal = tiny_models.randomise(transformers.Qwen2ForCausalLM(config), 5)
    causal.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = load_reward_model(f"math-psa:{tmp_path}")
    each = item("Q", "a", "b")
    rendered = model.render(each)
    with torch.no_grad():
        logits = causal(input_ids=torch.tensor([rendered.ids])).logits[0, list(rendered.positions)]
    assert model.score([each])[0].values == pytest.approx((logits[:, 488] - logits[:, 481]).tolist(), abs=1e-5)


def test_an_adapter_is_merged_into_its_base(tiny, tmp_path) -> None:
    """Math-psa is published as a LoRA adapter: the numbers are those of the merged model."""
    peft = pytest.importorskip("peft")
    base = transformers.AutoModelForCausalLM.from_pretrained(tiny["math-psa"])
    base.name_or_path = str(tiny["math-psa"])
    adapted = peft.get_peft_model(
        base, peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    adapted.peft_config["default"].base_model_name_or_path = str(tiny["math-psa"])
    adapted.save_pretrained(tmp_path)
    for file in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        (tmp_path / file).write_bytes((tiny["math-psa"] / file).read_bytes())
    model, each = load_reward_model(f"math-psa:{tmp_path}"), item("Q", "a", "b")
    rendered = model.render(each)
    with torch.no_grad():
        logits = adapted.eval()(input_ids=torch.tensor([rendered.ids])).logits[0, list(rendered.positions)]
    assert model.score([each])[0].values == pytest.approx((logits[:, 488] - logits[:, 481]).tolist(), abs=1e-4)


# --- read and fed as the models were made
# --------------------------------------------------------------------------------


@pytest.mark.parametrize("pad", [0, 2])
def test_whole_texts_are_read_where_transformers_reads_them(tmp_path, pad) -> None:
    """Where padding is the end token, as usual, transformers passes over the template's last token; reading it is
    another number."""
    folder = tiny_model(tmp_path / "orm", "SequenceClassification", labels=1, chat=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": pad}))
    model, each = load_reward_model(str(folder)), item("What is 1+1?", "So x = 2.")
    rendered = model.render(each)
    assert rendered.ids[-1] == 2
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = float(plain(input_ids=torch.tensor([rendered.ids])).logits[0, 0])
    assert model.score([each])[0].values == pytest.approx((expected,), abs=1e-5)


def recipe_file(folder: Path, kind: str, render: str, head: str, score: str, more: str = "") -> str:
    file = folder / "own.yaml"
    file.write_text(
        f"name: own\nkind: {kind}\nrender: {render}\nhead: {head}\nscore: {score}\n{more}\nchecked_against: x\nsource: "
        "x\n"
    )
    return str(file)


def test_the_turns_of_an_orm_recipe_are_its_templates(models, tmp_path) -> None:
    """user: and text: that are ignored give the model another prompt than its recipe says, without a word."""
    turns = '{chat: tokenizer, user: "Problem: {problem}", text: "Solution: {text}"}'
    own = recipe_file(tmp_path, "orm", turns, "{type: linear, labels: 1}", "{rule: raw}")
    model = load_reward_model(str(models["orm_chat"]), recipe=own)
    written = "".join(model.tokenizer.convert_ids_to_tokens(list(model.render(item("Q", "a")).ids)))
    assert written == "<s>[user]Problem: Q</s>[assistant]Solution: a</s>"
    with pytest.raises(ModelError, match="has no chat template, which its recipe uses"):
        load_reward_model(str(models["orm"]), recipe=own)  # an empty plain: refused every candidate


def test_a_template_that_cuts_the_text_is_refused(tmp_path) -> None:
    """R1-like templates drop what stands before </think>: candidates that differ only there would get one reward."""
    folder = tiny_model(tmp_path / "orm", "SequenceClassification", labels=1)
    tokenizer = make_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}[{{ m.content.split('</think>')[-1] | trim }}]{% endfor %}"
    tokenizer.save_pretrained(folder)
    whole, cut = load_reward_model(str(folder)).score([item("Q", "  42 "), item("Q", "some thought</think>42")])
    assert whole.refusal is None
    assert cut.refusal == "the chat template changes the text"


@pytest.mark.parametrize(
    ("text", "splitter", "steps"),
    [
        ("We solve it.\n\n## Step 1: Add.\n1+1=2\n\n**Step 2:** Done.", "step_k", ["Step 1: We solve it.",
        "Step 2: Add.\n1+1=2", "Step 3: Done."]),
        ("Step 1: Add.\nStep 2: Done.", "line", ["Step 1: Add.", "Step 2: Done."]),
        ("Add.\nThe Step 7: of 9", "line", ["Step 1: Add.", "Step 2: The Step 7: of 9"]),
        ("Step 1.\n2", "line", ["Step 1:", "Step 2: 2"]),
    ],
)  # fmt: skip
def test_steps_are_numbered_once_and_in_order(text, splitter, steps) -> None:
    """A preamble or a heading gives two steps of one number, or a "Step 1: ## Step 1:" that no verifier was trained
    on."""
    assert [numbered(step, k) for k, step in enumerate(split_steps(text, splitter), 1)] == steps


CAUSAL = '{before: "{problem}", step: "{step}{read}"}'
TWO_WAY = "{rule: two_way, good: 0, bad: 1}"


@pytest.mark.parametrize(
    ("kind", "more", "fault"),
    [
        ("Gemma2", {"head_dim": 8}, "final_logit_softcapping = 30.0"),
        ("Granite", {"logits_scaling": 8.0}, "logits_scaling = 8.0"),
        ("Cohere", {}, "logit_scale = 0.0625"),
        ("Phi", {}, "has a tensor lm_head.bias"),
    ],
)
def test_logits_that_are_more_than_a_matrix_are_refused(tmp_path, kind, more, fault) -> None:
    """Caps, scales and biases after the output matrix change every log-odds; without them the numbers look as good."""
    tokenizer = make_tokenizer()
    folder = tiny_models.save_causal(tmp_path / "m", kind, len(tokenizer), tokenizer, **more)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in "+-"}
    own = recipe_file(tmp_path, "prm", CAUSAL, f"{{type: lm_rows, rows: {json.dumps(ids)}}}", TWO_WAY)
    with pytest.raises(ModelError, match=re.escape(fault)):
        load_reward_model(str(folder), recipe=own)
    good = tiny_models.save_causal(tmp_path / "good", "Granite", len(tokenizer), tokenizer, logits_scaling=1.0)
    model, each = load_reward_model(str(good), recipe=own), item("Q", "a", "b")
    rendered = model.render(each)
    plain = transformers.AutoModelForCausalLM.from_pretrained(good).eval()
    with torch.no_grad():
        logits = plain(input_ids=torch.tensor([rendered.ids])).logits[0, list(rendered.positions)]
    assert model.score([each])[0].values == pytest.approx(
        (logits[:, ids["+"]] - logits[:, ids["-"]]).tolist(), abs=1e-5
    )


def test_an_unknown_token_that_ends_texts_is_a_control_token(tmp_path) -> None:
    """GPT-2-like tokenizers have one token for unknown, bos and eos: a candidate must not write it."""
    folder = tiny_model(tmp_path / "prm", "TokenClassification")
    tokenizer = make_tokenizer()
    tokenizer.unk_token = "</s>"
    tokenizer.save_pretrained(folder)
    assert load_reward_model(str(folder)).render(item("Q", "a</s>b")).refusal == "special token '</s>' in the text"


def test_a_literal_before_a_separator_is_not_taken_for_it(models, tmp_path) -> None:
    """The id that a recipe promises is that of the token it reads; another literal's refused every candidate."""
    render = '{before: "{problem}", step: "{step}\\n{cut}{separator}{read}{cut}", separator: "+"}'
    own = recipe_file(tmp_path, "prm", render, "{type: linear, labels: 2}", TWO_WAY, 'tokens: {"\\n": 99}')
    model = load_reward_model(str(models["prm"]), recipe=own)
    rendered = model.render(item("Q", "a", "b"))
    assert model.tokenizer.convert_ids_to_tokens([rendered.ids[i] for i in rendered.positions]) == ["+", "+"]


def test_more_tokens_than_a_model_takes_are_refused(models) -> None:
    """--max-tokens 99999 that silently becomes 2,048 refuses candidates for another reason than the user thinks."""
    with pytest.raises(ModelError, match=r"max_tokens = 99999; .* takes at most 2048"):
        load_reward_model(str(models["prm"]), max_tokens=99999)


# --- hostile texts
# -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*READING, "eurusprm-stage1"])
def test_hostile_texts_are_refused_or_scored_and_shift_nobody(tiny, models, name) -> None:
    """Special tokens, control characters, a million characters, nothing: a reward a step or a reason, neighbours
    unmoved."""
    shipped = {each: ROOT / "prm_eval" / "miniature" / "weights" / each for each in ("miniature-orm", "miniature-prm")}
    generic = {"token-classification": models["prm"], "sequence-classification": models["orm_chat"]}
    folder = {**generic, **shipped, **tiny}[name]
    pair = {"reference": str(tiny["eurusprm-reference"])} if shipped_recipes()[name].head.type == "logratio" else {}
    model = load_reward_model(f"{name}:{folder}", **pair)
    specials = list(model.tokenizer.all_special_tokens) + [
        t.content for t in model.tokenizer.added_tokens_decoder.values()
    ]
    nasty = [
        *dict.fromkeys(specials),
        "",
        " ",
        "\n\n\n",
        "\0",
        "\ud800",
        "{read}{cut}{problem}",
        "ا" * 50,
        "x" * 1_000_000,
        "a" + " " * 3_000,
    ]
    if pair:  # every token costs two rows of the vocabulary
        nasty = [text for text in nasty if len(text) < 100 or len(text) > 100_000][-7:]
    clean = ScoringItem("What is 1+1?", "We add.\nSo x = 2.", ("We add.", "So x = 2."))
    [alone] = model.score([clean])
    items = [clean]
    for text in nasty:
        items += [ScoringItem("Q", f"a\n{text}", ("a", text)), ScoringItem(text, "a", ("a",)), clean]
    found = model.score(items)
    assert len(found) == len(items)
    for each, result in zip(items, found, strict=True):
        if each is clean:
            assert result.values == pytest.approx(alone.values, abs=1e-5)
        elif result.refusal is None:
            assert len(result.values) == (len(each.steps) if model.kind == "prm" else 1)
            assert all(map(math.isfinite, result.values))
        else:
            assert result.values == ()
        if any(
            special in each.statement + "".join(each.steps)
            for special in specials
            if special != model.tokenizer.unk_token
        ):
            assert result.refusal is not None, each.steps
    refusals = {result.refusal.split(":")[0] for result in found if result.refusal}
    assert {"over-length", "a lone surrogate in the text"} <= refusals
