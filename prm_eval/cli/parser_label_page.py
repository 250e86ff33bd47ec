"""The options of ``prm-eval label serve`` and what belongs to the labelling page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from prm_eval.cli.types import Later, add_choice, add_command


def page_parser(actions: Any) -> None:
    """Add the actions of the labelling page."""
    _serve(actions)
    _agreement(actions)
    _adjudicate(actions)
    _export(actions)


def _serve(actions: Any) -> None:
    serve = add_command(
        actions,
        "serve",
        "a page on this machine where people mark steps by keys; prints a secret link for each, runs until Ctrl-C",
        "POOL --labeller ann --labeller bob --second-opinion 0.2",
        "label serve",
    )
    serve.add_argument("pool", type=Path, metavar="POOL", help="a pool or a step set, whose own labels nobody sees")
    serve.add_argument(
        "--name", default="people", help="of the campaign, kept in POOL/labels/NAME (default: %(default)s)"
    )
    serve.add_argument(
        "--labeller",
        action="append",
        default=[],
        metavar="NAME",
        help="print a link for a labeller; may be repeated; links given before stay good",
    )
    serve.add_argument(
        "--adjudicator", action="append", default=[], metavar="NAME", help="print a link for who decides conflicts"
    )
    serve.add_argument(
        "--revoke", action="append", default=[], metavar="NAME", help="take all links of somebody back; marks stay"
    )
    _address(serve)
    what = serve.add_argument_group("what is labelled")
    what.add_argument(
        "--queue",
        type=Path,
        metavar="FILE",
        help='JSON lines of {"problem_id", "candidate_id"}: these candidates, in this order (default: all)',
    )
    what.add_argument(
        "--screening",
        type=Path,
        metavar="FILE|SET",
        help="solutions with known labels that every labeller gets first",
    )
    what.add_argument(
        "--quality-control", type=Path, metavar="FILE|SET", help="solutions with known labels that are mixed in"
    )
    how = serve.add_argument_group("how; settled when the campaign begins")
    how.add_argument("--splitter", help="how candidates are cut into steps (default: the pool's)")
    how.add_argument(
        "--all-steps",
        action=argparse.BooleanOptionalAction,
        help="label the steps after the first bad one too (default: stop there)",
    )
    how.add_argument(
        "--show-answer",
        action=argparse.BooleanOptionalAction,
        help="show the gold answer and the grade (default: hidden, for whoever knows them looks for errors)",
    )
    how.add_argument(
        "--qc-rate", type=float, metavar="SHARE", help="of what a labeller sees, known labels (default: 0.1)"
    )
    how.add_argument(
        "--second-opinion", type=float, metavar="SHARE", help="of candidates that two people label (default: 0.2)"
    )
    how.add_argument("--seed", type=int, metavar="N", help="of what is drawn (default: 0)")


def _address(command: Any) -> None:
    command.add_argument(
        "--host",
        default=Later("prm_eval.labelling.page.serving:HOST"),
        help="to listen on (default: %(default)s, this machine alone); another one can be read on the way: there is "
        "no encryption",
    )
    command.add_argument(
        "--port",
        type=int,
        default=Later("prm_eval.labelling.page.serving:PORT"),
        metavar="N",
        help="(default: %(default)s)",
    )
    command.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which browsers may call this machine, with another --host; links have the first",
    )


def _campaign(command: Any) -> None:
    command.add_argument("campaign", type=Path, metavar="CAMPAIGN", help="its folder, POOL/labels/NAME")


def _agreement(actions: Any) -> None:
    command = add_command(
        actions,
        "agreement",
        "agreement of a campaign's labellers (Krippendorff's alpha with limits over problems), each one's score on "
        "known labels, seconds a solution",
        "POOL/labels/people",
        "label agreement",
    )
    _campaign(command)
    command.add_argument("--json", action="store_true", help="as JSON")


def _adjudicate(actions: Any) -> None:
    command = add_command(
        actions,
        "adjudicate",
        "a link to the page of conflicts, where somebody decides; serves it unless the campaign is served already",
        "POOL/labels/people --adjudicator eve",
        "label adjudicate",
    )
    _campaign(command)
    command.add_argument(
        "--adjudicator", default="adjudicator", metavar="NAME", help="who decides (default: %(default)s)"
    )
    _address(command)


def _export(actions: Any) -> None:
    command = add_command(
        actions,
        "export",
        "a campaign's labels as a file or folder; a candidate that people label differently is refused, unless an "
        "adjudicator decided or --take says what counts",
        "POOL/labels/people --to stepset -o SET",
        "label export",
    )
    _campaign(command)
    add_choice(
        command,
        "--to",
        required=True,
        choices=Later("prm_eval.labelling.page.exports:FORMS"),
        help="PRM800K phase 2 records, TRL's stepwise rows, ProcessBench rows, a step set, or labels beside the pool",
    )
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the file or folder to make")
    add_choice(
        command,
        "--take",
        choices=Later("prm_eval.labelling.page.choosing:TAKES"),
        help="where people differ and nobody decided: the first label, or that of most of them",
    )
    command.add_argument(
        "--queue", type=Path, metavar="QUEUE", help="these candidates only, as of one of the rounds (default: all)"
    )
