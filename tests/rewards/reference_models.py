"""How each published reference feeds and reads its model, written plainly and slowly from the facts: one candidate, one
unpadded forward.

Each function returns (token ids, numbers), the numbers in the units of our recipes. Sources: model cards and the files
named in ``recipes/*.yaml``. Nothing here uses prm_eval.
"""

from __future__ import annotations

import math
import re

import torch
import transformers
from safetensors.torch import load_file

SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."


def tokenizer_of(folder):
    return transformers.AutoTokenizer.from_pretrained(folder)


def causal_logits(folder, ids):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


def hidden_states(folder, ids, kind):
    config = transformers.AutoConfig.from_pretrained(folder)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    tensors = load_file(folder / "model.safetensors")
    model.load_state_dict(
        {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}, strict=True
    )
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).last_hidden_state[0], tensors


def log_odds(two) -> float:
    """The log-odds of the first of two logits, by way of the softmax the references use."""
    p = torch.softmax(two.double(), dim=-1)
    return math.log(float(p[0])) - math.log(float(p[1]))


def mlp(hidden, tensors):
    middle = torch.relu(hidden @ tensors["score.0.weight"].T + tensors["score.0.bias"])
    return middle @ tensors["score.2.weight"].T + tensors["score.2.bias"]


def qwen_prm(folder, problem, steps):
    tokenizer = tokenizer_of(folder)
    turns = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": problem},
        {"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"},
    ]
    ids = tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False))
    logits = mlp(*hidden_states(folder, ids, "Qwen2"))
    separator = tokenizer.encode("<extra_0>")[0]
    return ids, [log_odds(logits[i, [1, 0]]) for i, token in enumerate(ids) if token == separator]


def qwen_rm(folder, problem, text):
    tokenizer = tokenizer_of(folder)
    turns = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": problem},
        {"role": "assistant", "content": text},
    ]
    ids = tokenizer.encode(
        tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False), add_special_tokens=False
    )
    return ids, [float(mlp(*hidden_states(folder, ids, "Qwen2"))[-1, 0])]


def math_shepherd(folder, problem, steps):
    tokenizer = tokenizer_of(folder)
    good, bad = tokenizer.encode("+ -")[1:]
    tag = tokenizer.encode("ки")[-1]
    assert (good, bad, tag) == (648, 387, 12902)
    output = "\n".join(f"Step {k}: {step} ки" for k, step in enumerate(steps, 1))
    ids = tokenizer.encode(f"{problem} {output}")
    logits = causal_logits(folder, ids)
    return ids, [log_odds(logits[i, [good, bad]]) for i, token in enumerate(ids) if token == tag]


def rlhflow_prm(folder, problem, steps, numbered=False):
    tokenizer = tokenizer_of(folder)
    plus, minus = tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]
    steps = [f"Step {k}: {step}" if numbered else step for k, step in enumerate(steps, 1)]
    conversation, result, ids = [], [], []
    for k, step in enumerate(steps):
        conversation += [
            {"role": "user", "content": problem + " " + step if k == 0 else step},
            {"role": "assistant", "content": "+"},
        ]
        text = tokenizer.apply_chat_template(conversation, tokenize=False, date_string="26 Jul 2024")
        ids = tokenizer.encode(text, add_special_tokens=False)
        result.append(log_odds(causal_logits(folder, ids)[-3, [plus, minus]]))
    return ids, result


def skywork(folder, problem, steps):
    tokenizer = tokenizer_of(folder)
    newline = tokenizer.encode("\n")[-1]
    ids, flags = tokenizer.encode(tokenizer.bos_token + problem + "\n"), []
    for step in steps:
        ids = [*ids, *tokenizer.encode(step), newline]
        flags.append(len(ids) - 1)
    hidden, tensors = hidden_states(folder, ids, "Qwen2")
    logits = hidden @ tensors["v_head.summary.weight"].T + tensors["v_head.summary.bias"]
    probabilities = torch.sigmoid(logits[flags, 0].double())
    return ids, [math.log(float(p)) - math.log(float(1 - p)) for p in probabilities]


def reasoneval(folder, problem, steps, size):
    """Markers are put between the steps, their places noted, and taken out again; see the order of the last two moves
    at 7B."""
    tokenizer = tokenizer_of(folder)
    marker = tokenizer.pad_token
    text = (
        f"Question:\n{problem}\nAnswer:\nLet's think step by step.\n"
        + marker
        + "".join(step + marker for step in steps)
    )
    separator = tokenizer(marker)["input_ids"][-1]
    ids, places, seen = [], [], 0
    for i, token in enumerate(tokenizer(text)["input_ids"]):
        if token == separator:
            places.append(i - 1 - seen)
            seen += 1
        else:
            ids.append(token)
    if size == 7:
        ids, places = [1, *ids], places[2:]
    else:
        places = places[1:]
    assert len(places) == len(steps)
    hidden, tensors = hidden_states(folder, ids, "Mistral" if size == 7 else "Llama")
    scores = hidden @ tensors["score_head.weight"].T + tensors.get("score_head.bias", 0)
    p = torch.softmax(scores[places].double(), dim=-1)
    return ids, [math.log(float(row[1] + row[2])) - math.log(float(row[0])) for row in p]


def eurus_input(folder, problem, steps):
    """The ids of all steps, and the last token of the prompt and of each step."""
    tokenizer = tokenizer_of(folder)
    answer = [f"Step {k}: {step}" for k, step in enumerate(steps, 1)]

    def template(parts):
        turns = [{"role": "user", "content": problem}, {"role": "assistant", "content": "\n\n".join(parts)}]
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False)

    ids = tokenizer.encode(template(answer), add_special_tokens=False)
    last_tokens = []
    for k in range(len(answer) + 1):
        text = template(answer[:k]).strip()
        if k not in (0, len(answer)):
            text += "\n\n"
        last_tokens.append(len(tokenizer.encode(text, add_special_tokens=False)) - 2)
    return ids, last_tokens


def eurus(folder, reference, problem, steps, accumulative, beta=0.001):
    ids, last_tokens = eurus_input(folder, problem, steps)
    mask = torch.zeros(len(ids))
    mask[last_tokens[0] :] = 1
    labels = torch.tensor(ids[1:])

    def log_probabilities(where):
        return torch.log_softmax(causal_logits(where, ids)[:-1].double(), dim=-1).gather(1, labels[:, None])[:, 0]

    reward = (beta * (log_probabilities(folder) - log_probabilities(reference)) * mask[1:]).cumsum(0)
    totals = [float(reward[i]) for i in last_tokens[1:]]
    return ids, totals if accumulative else [b - a for a, b in zip([0.0, *totals], totals, strict=False)]


def token_classifier(folder, problem, steps, separator, bos):
    """TRL and PURE: prompt ids, then each step's ids and the separator's ids; nothing between prompt and first step."""
    tokenizer = tokenizer_of(folder)
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    ids = ([tokenizer.bos_token_id] if bos and tokenizer.bos_token_id is not None else []) + encode(problem)
    places = []
    for step in steps:
        ids = ids + encode(step) + encode(separator)
        places.append(len(ids) - 1)
    hidden, tensors = hidden_states(folder, ids, "Qwen2")
    logits = hidden @ tensors["score.weight"].T + tensors["score.bias"]
    return ids, [log_odds(logits[i, [1, 0]]) for i in places]


def versaprm(folder, problem, steps, tag):
    tokenizer = tokenizer_of(folder)
    ids = tokenizer.encode(f"{problem} \n\n" + "".join(f"{step} \n\n\n\n" for step in steps))
    logits = causal_logits(folder, ids)[:, [12, 10]]  # minus, plus
    return ids, [log_odds(logits[i, [1, 0]]) for i, token in enumerate(ids) if token == tag]


def math_psa(folder, problem, steps):
    tokenizer = tokenizer_of(folder)
    good, bad = tokenizer.encode(" + -")
    [tag] = tokenizer.encode(" \n\n\n\n\n")
    assert (good, bad, tag) == (488, 481, 76325)
    text = problem + " " + " ".join(f"Step {k}: {step} \n\n\n\n\n" for k, step in enumerate(steps, 1))
    ids = tokenizer.encode(text)
    logits = causal_logits(folder, ids)
    return ids, [log_odds(logits[i, [good, bad]]) for i, token in enumerate(ids) if token == tag]


def processbench_index(judgement: str) -> int | None:
    """The critique's answer: what stands in its last box, as a number."""
    found = re.findall(r"\\boxed\{([^{}]*)\}", judgement)
    return int(found[-1]) if found and re.fullmatch(r"-?\d+", found[-1].strip()) else None
