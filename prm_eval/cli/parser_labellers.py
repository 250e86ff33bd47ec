"""The options of the labellers that are no people, of queues and of rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.cli.types import Later, add_choice, add_command, positive
from prm_eval.texts.steps import SPLITTERS

LABELLERS = ("oracle", "model", "judge", "rollouts", "people")
CONVERT_TO = ("math-shepherd", "openr", "stepset")


def labellers_parser(actions: Any) -> None:
    """Add the actions of labellers, queues and rounds."""
    _rollouts(actions)
    _oracle(actions)
    _model(actions)
    _judge(actions)
    _queue(actions)
    _compare(actions)
    _convert(actions)
    _filter(actions)
    _rounds(actions)


def _labels(command: Any, *, graded: bool = True) -> None:
    command.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="the folder of labels (default: POOL/labels/ and its name)"
    )
    command.add_argument(
        "--queue", type=Path, metavar="QUEUE", help="label these candidates only (prm-eval label queue)"
    )
    if graded:
        _grades(command, "whose grades say whether an answer is right, where the pool has them")


def _grades(command: Any, text: str) -> None:
    command.add_argument("--grades", default="auto", metavar="NAME", help=f"{text} (default: own)")


def _pool(command: Any) -> None:
    command.add_argument("pool", type=Path, help="a pool or step set")


def _of_labels(command: Any) -> None:
    command.add_argument("labels", type=Path, metavar="LABELS", help="a folder of labels, as POOL/labels/NAME")
    command.add_argument("--pool", type=Path, metavar="POOL", help="their pool, where they lie outside its folder")


def _rollouts(actions: Any) -> None:
    text = "label steps by the share of a policy's completions from each that end right; an interrupted run goes on"
    example = "POOL --policy my-policy --base-url http://localhost:8000/v1 --rollouts 8"
    command = add_command(actions, "rollouts", text, example, "label rollouts")
    _pool(command)
    _policy(command.add_argument_group("the policy"))
    _sampling(command.add_argument_group("its completions"))
    labels = command.add_argument_group("the labels")
    _of_shares(labels)
    labels.add_argument(
        "--splitter", choices=SPLITTERS, metavar="SPLITTER", help="how candidates are cut (default: the pool's)"
    )
    labels.add_argument(
        "--grader",
        help="who grades completions, as for prm-eval grade (default: our grader, with the options of the pool's task)",
    )
    labels.add_argument("--keep-texts", action="store_true", help="keep what was written, in rollouts.jsonl")
    labels.add_argument(
        "--results",
        type=Path,
        metavar="LABELS",
        help="labels by the same rollouts, with another --hard, --stop or --queue: nothing is asked a second time",
    )
    _labels(command, graded=False)


def _of_shares(labels: Any) -> None:
    labels.add_argument(
        "--hard",
        type=float,
        nargs="?",
        const=0.0,
        metavar="T",
        help="ratings in place of shares: a step is wrong if at most this share is right (default with --hard: 0)",
    )
    labels.add_argument(
        "--stop", action="store_true", help="stop at the first step that is never right: later ones are not asked about"
    )


def _policy(group: Any, *, required: bool = True) -> None:
    group.add_argument(
        "--policy", required=required, metavar="MODEL", help="the server's name of it, or a checkpoint folder or hub id"
    )
    group.add_argument(
        "--base-url", metavar="URL", help="an OpenAI-compatible server, asked at /completions (default: run it here)"
    )
    group.add_argument(
        "--parallel",
        type=positive,
        metavar="N",
        default=Later("prm_eval.labelling.completers:PARALLEL"),
        help="requests to a server side by side (default: %(default)s)",
    )
    add_choice(
        group,
        "--engine",
        default="transformers",
        choices=Later("prm_eval.labelling.completers:ENGINES"),
        help="what runs it here (default: %(default)s)",
    )
    group.add_argument("--device", help="of transformers: cpu, cuda, ... (default: a GPU if there is one)")
    group.add_argument("--dtype", help="of the weights (default: bfloat16 on a GPU, float32 on the CPU)")
    group.add_argument("--revision", help="hub revision")
    group.add_argument(
        "--prompt",
        metavar="TEXT",
        help=r"what stands before a solution, with {problem} in it; \n is a new line (default: {problem}\n)",
    )
    group.add_argument(
        "--chat", metavar="TOKENIZER", help="the folder or hub id whose chat template makes the prompt a user turn"
    )


def _sampling(group: Any, seed: str = "--seed") -> None:
    group.add_argument(
        "--rollouts", type=positive, default=8, metavar="K", help="completions a step (default: %(default)s)"
    )
    group.add_argument("--temperature", type=float, help="(default: the pool's, else 0.7)")
    group.add_argument("--top-p", type=float, help="(default: the pool's, else 1)")
    group.add_argument(
        "--max-new-tokens", type=positive, default=2048, metavar="N", help="of a completion (default: %(default)s)"
    )
    group.add_argument(
        "--until", action="append", default=[], metavar="TEXT", help="a text before which a completion ends; may repeat"
    )
    group.add_argument(seed, type=int, default=0, metavar="SEED", help="(default: %(default)s)")


def _oracle(actions: Any) -> None:
    text = "label every step of the miniature's candidates by its oracle, which knows the plan of each problem"
    command = add_command(actions, "oracle", text, "results/pools/miniature-v2-350x64 -o out/oracle", "label oracle")
    _pool(command)
    _labels(command)


def _model(actions: Any) -> None:
    text = "label steps by the step rewards of a strong PRM, up to the first one that it calls wrong"
    command = add_command(actions, "model", text, "POOL POOL/rewards/large --threshold 0.8", "label model")
    _pool(command)
    command.add_argument("rewards", type=Path, metavar="REWARDS", help="a reward folder of this pool")
    command.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="a step is wrong if it is right with a chance below T (default: 0.8, the 20 %% of Lightman et al. 2023)",
    )
    _labels(command)


def _judge(actions: Any) -> None:
    text = "label where the first wrong step is by what a generative verifier wrote, or asks one now"
    command = add_command(actions, "judge", text, "POOL POOL/rewards/judge", "label judge")
    _pool(command)
    command.add_argument(
        "rewards", type=Path, nargs="?", metavar="REWARDS", help="its reward folder, with judgements.jsonl beside"
    )
    asked = command.add_argument_group("or ask one now, about the candidates of --queue or all")
    asked.add_argument(
        "--reward-model", metavar="RM", help="as for prm-eval score: processbench-judge:MODEL, or another recipe"
    )
    asked.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible server (default: run it here)")
    asked.add_argument("--votes", type=positive, metavar="N", help="judgements a candidate (default: the recipe's)")
    asked.add_argument("--temperature", type=float, help="of its judgements (default: the recipe's)")
    asked.add_argument("--max-tokens", type=positive, metavar="N", help="of a judgement (default: the recipe's)")
    _labels(command)


def _queue(actions: Any) -> None:
    text = "choose what to label next: JSON lines of problem_id, candidate_id and why, for the page and the labellers"
    example = "POOL --by convincing --rewards POOL/rewards/prm --share 0.8 --per-problem 4 -o queue.jsonl"
    command = add_command(actions, "queue", text, example, "label queue")
    _pool(command)
    _chosen(command)
    command.add_argument(
        "--skip", type=Path, action="append", default=[], metavar="LABELS", help="leave out what is labelled there"
    )
    _grades(command, "whose grades say which answers are wrong")
    command.add_argument(
        "-o", "--output", type=Path, metavar="QUEUE", help="the file (default: POOL/labels/RULE.queue.jsonl)"
    )


def _chosen(command: Any) -> None:
    add_choice(
        command,
        "--by",
        required=True,
        choices=Later("prm_eval.labelling.queue_rules:RULES"),
        help="convincing: wrong answers that the PRM likes best, and the most convincing of the rest (Lightman et al. "
        "2023); uniform; uncertain: nearest to 1/2; disagreement: of several PRMs (ActPRM)",
    )
    command.add_argument(
        "--rewards", type=Path, action="append", default=[], metavar="R", help="a reward folder; again for disagreement"
    )
    command.add_argument(
        "--share",
        type=float,
        metavar="S",
        default=Later("prm_eval.labelling.queue_rules:SHARE"),
        help="of wrong answers, for convincing (default: %(default)s)",
    )
    command.add_argument("--per-problem", type=positive, metavar="K", help="so many of every problem (default: 1)")
    command.add_argument(
        "--count",
        type=positive,
        metavar="N",
        help="so many of the whole pool instead; with --per-problem at most K of one problem",
    )
    for flag, text in (
        ("--spread", "disagreement: a standard deviation up to which a step is trusted"),
        ("--sure", "disagreement: the least certainty at which a step is trusted"),
    ):
        default = Later(f"prm_eval.labelling.queue_rules:{flag[2:].upper()}")
        command.add_argument(flag, type=float, default=default, metavar="X", help=f"{text} (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of uniform (default: %(default)s)")


def _compare(actions: Any) -> None:
    text = "how far labels of several sources agree with the first one: steps and first errors, limits over problems"
    example = "POOL/labels/oracle POOL/labels/rollouts POOL/labels/large"
    command = add_command(actions, "compare", text, example, "label compare")
    _of_labels(command)
    command.add_argument("others", type=Path, nargs="+", metavar="LABELS", help="compared with it")
    command.add_argument("--seed", type=int, default=0, help="of the resampling (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="print JSON")


def _convert(actions: Any) -> None:
    text = "write labels as Math-Shepherd's rows, as openr's (MATH-APS), or as a step set"
    example = "POOL/labels/rollouts --to math-shepherd -o train.jsonl"
    command = add_command(actions, "convert", text, example, "label convert")
    _of_labels(command)
    command.add_argument("--to", required=True, choices=CONVERT_TO, help="the format")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the file or step set to make")
    command.add_argument("--name", help="of the step set")


def _filter(actions: Any) -> None:
    text = "an ORM's training set without false positives: right answers with a step that the labels call wrong"
    command = add_command(actions, "filter", text, "POOL/labels/large -o POOL/labels/orm", "label filter")
    _of_labels(command)
    add_choice(
        command,
        "--false-positives",
        default="leave-out",
        choices=Later("prm_eval.labelling.filtering:TREATMENTS"),
        help="leave them out, or call them wrong (default: %(default)s)",
    )
    _grades(command, "whose grades say whether an answer is right")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="a folder of labels to make; a file .jsonl lists the candidates instead",
    )


def _rounds(actions: Any) -> None:
    text = "choose, label, train, score, and choose again by the model that came of it; an interrupted run goes on"
    example = "POOL --labeller oracle --by convincing --rounds 3 --base MODEL --test TEST -o rounds"
    command = add_command(actions, "rounds", text, example, "label rounds")
    _pool(command)
    command.add_argument(
        "--rounds", type=positive, default=3, metavar="N", help="how many (default: %(default)s); more may follow later"
    )
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the folder of the rounds")
    command.add_argument(
        "--test", type=Path, metavar="POOL", help="a graded pool of other problems, on which each model is measured"
    )
    _chosen(command.add_argument_group("what is chosen in a round"))
    _grades(command, "whose grades say which answers are wrong")
    labeller = command.add_argument_group("who labels")
    labeller.add_argument(
        "--labeller", required=True, choices=LABELLERS, help="people: it stops until they have labelled the queue"
    )
    labeller.add_argument("--strong", type=Path, metavar="REWARDS", help="model: its rewards of the pool")
    labeller.add_argument("--threshold", type=float, metavar="T", help="model: as for prm-eval label model")
    labeller.add_argument("--reward-model", metavar="RM", help="judge: as for prm-eval label judge")
    labeller.add_argument("--votes", type=positive, metavar="N", help="judge: judgements a candidate")
    labeller.add_argument("--max-tokens", type=positive, metavar="N", help="judge: of a judgement")
    _policy(command.add_argument_group("rollouts: the policy"), required=False)
    rollouts = command.add_argument_group("rollouts: its completions")
    _sampling(rollouts, seed="--rollout-seed")
    _of_shares(rollouts)
    trainer = command.add_argument_group("who trains")
    trainer.add_argument("--base", metavar="MODEL", help="the base of prm-eval train prm, which trains each round")
    trainer.add_argument("--train", default="", metavar="OPTIONS", help='its other options, as "--epochs 2 --lora 16"')
    trainer.add_argument(
        "--trainer",
        metavar="MODULE:FUNCTION",
        help="a trainer of your own: (step set, folder to make) -> the reward model's name",
    )
