"""The commands of the labelling page: ``label serve`` and what belongs to it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prm_eval.cli.printing import say as print
from prm_eval.cli.types import counted
from prm_eval.errors import PrmEvalError

if TYPE_CHECKING:
    from prm_eval.labelling.page.campaign import Campaign, Role

RULES = ("splitter", "all_steps", "show_answer", "qc_rate", "second_opinion", "seed")
UNKNOWN = (
    "nobody says who made these labels (label_source unknown), and labellers are scored by them as if they were right. "
    'If people, a rule or an oracle did, say so in each row: "label_source": "people"; a model\'s are refused'
)


def _label_serve(options: argparse.Namespace) -> int:
    from prm_eval.labelling.page.campaign import Campaign, add_known, begin, campaign_folder, queue_pool
    from prm_eval.labelling.page.events import FILE, is_begun
    from prm_eval.labelling.page.known import read_known
    from prm_eval.labelling.page.serving import only_server, require_extra
    from prm_eval.pools.pool import Pool

    require_extra()
    folder = campaign_folder(options.pool, options.name)
    there = is_begun(folder / FILE)
    known = {
        kind: read_known(path)
        for kind, path in (("screening", options.screening), ("quality_control", options.quality_control))
        if path is not None
    }
    for kind, path in (("screening", options.screening), ("quality_control", options.quality_control)):
        if path is not None and any(each.made_by == "unknown" for each in known[kind]):
            print(f"prm-eval label: warning: {path}: {UNKNOWN}", file=sys.stderr)
    if not there:
        pool = Pool(options.pool)
        begin(folder, pool, _rules(options, pool.info.splitter)).close()
    with only_server(folder), closing(Campaign(folder)) as campaign:
        if there:
            _require_same_rules(campaign, options)
        if options.queue is not None or not campaign.queue():
            queue_pool(campaign, options.queue)
        for kind, found in known.items():
            add_known(campaign, kind, found)  # type: ignore[arg-type]
        for who in options.revoke:
            print(f"revoked    {counted(campaign.revoke(who), 'link')} of {who}")
        people: list[tuple[str, Role]] = [(who, "labeller") for who in options.labeller]
        people += [(who, "adjudicator") for who in options.adjudicator]
        _say_campaign(campaign)
        return _run(campaign, options, people)


def _rules(options: argparse.Namespace, splitter: str) -> Any:
    from prm_eval.labelling.page.campaign import Rules

    given = {name: getattr(options, name) for name in RULES if getattr(options, name) is not None}
    return replace(Rules(splitter), **given)


def _require_same_rules(campaign: Campaign, options: argparse.Namespace) -> None:
    for name in RULES:
        asked, settled = getattr(options, name), getattr(campaign.rules, name)
        if asked is not None and asked != settled:
            option = f"--{name.replace('_', '-')}"
            raise PrmEvalError(
                f"{option} is {settled} in the campaign {campaign.folder} since it began; another --name begins another"
            )


def _say_campaign(campaign: Campaign) -> None:
    rules, queue = campaign.rules, campaign.queue()
    twice = sum(n > 1 for _, n in queue)
    print(f"campaign   {campaign.folder}  ({campaign.pool.info.short_hash}, steps by {rules.splitter})")
    print(f"queue      {counted(len(queue), 'candidate')}, {twice:,} of them for two people")
    for kind, name in (("screening", "screening"), ("quality_control", "quality")):
        items = campaign.items_of(kind)  # type: ignore[arg-type]
        how = "first" if kind == "screening" else f"mixed in, {rules.qc_rate:.0%} of what each sees"
        if items:
            print(f"{name:<10} {counted(len(items), 'solution')} with known labels, {how}")


def _run(campaign: Campaign, options: argparse.Namespace, people: Sequence[tuple[str, Role]]) -> int:
    """Print links and serve until the user stops it."""
    from prm_eval.labelling.page.serving import address_of, is_local, listening, serve

    with closing(listening(options.host, options.port)) as bound:
        address = address_of(bound, options.host, options.allow_host)
        campaign.store.set("address", address)
        if not is_local(options.host):
            risk = "whoever reads the network reads links and marks"
            print(f"prm-eval label: warning: listening on {options.host}: {risk}", file=sys.stderr)
        for who, role in people:
            print(f"link       {address}/in/{campaign.invite(who, role)}  {who}, {role}")
        if not campaign.people():
            raise PrmEvalError("nobody has a link yet: --labeller NAME")
        if not people:
            print(f"links      those given before are good, at {address}")
        print("stop       Ctrl-C; every mark is stored, and the same command goes on")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            serve(campaign, bound, options.host, options.allow_host)
    done = sum(1 for _ in campaign.store.events())
    print(f"stopped    {counted(done, 'event')} in {campaign.store.path}")
    print(f"next       prm-eval label agreement {campaign.folder}")
    return 0


def _label_adjudicate(options: argparse.Namespace) -> int:
    from prm_eval.labelling.page.campaign import Campaign
    from prm_eval.labelling.page.serving import AlreadyServed, only_server, require_extra

    require_extra()
    with closing(Campaign(options.campaign)) as campaign:
        try:
            with only_server(options.campaign):
                return _run(campaign, options, [(options.adjudicator, "adjudicator")])
        except AlreadyServed:
            token = campaign.invite(options.adjudicator, "adjudicator")
            print(f"link       {campaign.store.get('address')}/in/{token}  {options.adjudicator}, adjudicator")
            return 0


def _label_agreement(options: argparse.Namespace) -> int:
    from prm_eval.labelling.page.agreement import measure
    from prm_eval.labelling.page.campaign import Campaign
    from prm_eval.labelling.page.lines import as_json, report_lines
    from prm_eval.labelling.page.serving import require_extra

    require_extra()
    with closing(Campaign(options.campaign)) as campaign:
        report = measure(campaign)
    if options.json:
        print(json.dumps(as_json(report), indent=2, ensure_ascii=False))
        return 0
    for line in report_lines(report):
        print(line)
    return 0


def _label_export(options: argparse.Namespace) -> int:
    from prm_eval.labelling.page.campaign import Campaign
    from prm_eval.labelling.page.exports import export
    from prm_eval.labelling.queues import read_queue

    with closing(Campaign(Path(options.campaign))) as campaign:
        wanted = None if options.queue is None else read_queue(options.queue, campaign.pool)
        done = export(campaign, options.to, options.output, take=options.take, wanted=wanted)
    for reason, n in done.left_out.items():
        print(f"left out   {n:,}: {reason}", file=sys.stderr)
    print(f"exported   {counted(done.written, 'solution')} to {options.output}")
    return 0


PAGE_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "label serve": _label_serve,
    "label agreement": _label_agreement,
    "label adjudicate": _label_adjudicate,
    "label export": _label_export,
}
"""The commands of the labelling page: ``label serve`` and what belongs to it."""
