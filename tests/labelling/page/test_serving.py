"""The commands around the page, in processes of their own: killed, started twice, asked wrongly."""

from __future__ import annotations

import http.client
import json
import threading

import pytest

from prm_eval.cli.commands import main
from prm_eval.labelling.page import serving
from prm_eval.labelling.page.campaign import Campaign
from prm_eval.labelling.page.ledger import Ledger
from prm_eval.labelling.page.views import csrf_of
from tests.conftest import write_jsonl
from tests.labelling.page.campaigns import Server, as_json, events_of, label, make_campaign, make_pool


class Client:
    """A labeller's browser, as far as the server can tell."""

    def __init__(self, link: str) -> None:
        self.host, self.token = link.removeprefix("http://").split("/in/")
        self.cookie = (self.ask("GET", f"/in/{self.token}")[1] or "").partition(";")[0]

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str | None, str]:
        connection = http.client.HTTPConnection(self.host, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("set-cookie"), answer.read().decode()
        finally:
            connection.close()

    def mark(self, path: str, **event: object) -> int:
        proof = {"Cookie": self.cookie, "Origin": f"http://{self.host}", "X-CSRF": csrf_of(self.token)}
        return self.ask("POST", path, as_json([event]), **proof, **{"Content-Type": "application/json"})[0]


def test_nothing_is_lost_by_kill_9(tmp_path) -> None:
    """Marks are sent as fast as they go while the server is killed: every one that was answered is in the file, in
    order, and the next server goes on with the same links."""
    pool = make_pool(tmp_path / "pool", 1, 1)
    server = Server(str(pool.path), "--labeller", "ann")
    client = Client(server.links["ann"])
    assert client.ask("GET", "/", Cookie=client.cookie)[0] == 303
    answered: list[str] = []
    enough = threading.Event()

    def hammer() -> None:
        try:
            for k in range(5_000):
                key = f"key-{k:06d}"
                if client.mark("/item/1", what="mark", step=k % 4, value="1", key=key) == 200:
                    answered.append(key)
                if k == 60:
                    enough.set()
        except (OSError, http.client.HTTPException):
            return

    thread = threading.Thread(target=hammer)
    thread.start()
    assert enough.wait(30)
    server.kill()
    thread.join(30)
    campaign = Campaign(pool.path / "labels" / "people")
    stored = [(each.key or "").removeprefix("ann ") for each in events_of(campaign) if each.what == "mark"]
    campaign.close()
    assert len(answered) > 60
    # at most the one that was under way is stored without an answer
    assert stored[: len(answered)] == answered and len(stored) <= len(answered) + 1
    again = Server(str(pool.path), port=server.port)
    assert not again.links
    assert client.mark("/item/1", what="undo") == 200
    assert again.stop() == 0
    assert "every mark is stored" in "\n".join(again.said) and any("event" in line for line in again.said)


def test_one_server_a_campaign(tmp_path, capsys) -> None:
    """Two would answer from memories that do not know of each other's marks; a dead one holds nothing."""
    pool = make_pool(tmp_path / "pool", 1, 1)
    campaign = make_campaign(pool)
    with serving.only_server(campaign.folder):
        assert main(["label", "serve", str(pool.path), "--labeller", "ann", "--port", "0"]) == 1
        assert "served by another process" in capsys.readouterr().err
        campaign.store.set("address", "http://127.0.0.1:1")
        assert main(["label", "adjudicate", str(campaign.folder)]) == 0
        assert "http://127.0.0.1:1/in/" in capsys.readouterr().out
    with serving.only_server(campaign.folder):
        pass
    campaign.close()


def test_what_the_command_says(tmp_path, capsys, monkeypatch) -> None:
    """Rules are settled, links are printed once each, an open host is warned of, a taken port is a line."""
    seen = {}
    monkeypatch.setattr(serving, "serve", lambda campaign, bound, host, names: seen.update(host=host, names=names))
    pool = make_pool(tmp_path / "pool")
    command = ["label", "serve", str(pool.path), "--port", "0"]
    assert main(command) == 1
    assert "--labeller NAME" in capsys.readouterr().err
    assert main([*command, "--labeller", "ann", "--labeller", "bob", "--adjudicator", "eve"]) == 0
    out = capsys.readouterr().out
    assert out.count("/in/") == 3 and "20 candidates, 4 of them for two people" in out and "eve, adjudicator" in out
    assert main([*command, "--all-steps"]) == 1
    assert "--all-steps is False in the campaign" in capsys.readouterr().err
    assert main([*command, "--qc-rate", "0.1", "--no-all-steps"]) == 0
    assert "those given before are good" in capsys.readouterr().out
    assert main([*command, "--revoke", "bob", "--host", "0.0.0.0", "--allow-host", "lab.example"]) == 0
    said = capsys.readouterr()
    assert "revoked    1 link of bob" in said.out and "at http://lab.example:" in said.out and "warning" in said.err
    assert seen == {"host": "0.0.0.0", "names": ["lab.example"]}
    with serving.listening("127.0.0.1", 0) as taken:
        assert main([*command[:-1], str(taken.getsockname()[1])]) == 1
    assert "give another --port" in capsys.readouterr().err
    assert main([*command, "--labeller", "eve"]) == 1
    assert "a name of their own" in capsys.readouterr().err


def test_known_labels_come_from_people(tmp_path, capsys) -> None:
    """Labellers who are tried on a model's labels are measured by its errors."""
    pool = make_pool(tmp_path / "pool", 1, 1)
    rows = [{"id": "a", "problem": "One?", "steps": ["x"], "label": -1, "label_source": "rollouts"}]
    file = write_jsonl(tmp_path / "k.jsonl", [*rows])
    command = ["label", "serve", str(pool.path), "--port", "0", "--labeller", "ann", "--screening", str(file)]
    assert main(command) == 1
    assert "labels by rollouts" in capsys.readouterr().err
    assert not (pool.path / "labels").exists()
    write_jsonl(file, [{"id": "a", "problem": "One?", "steps": ["x"], "label": None}])
    assert main(command) == 1
    assert "is known" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--screening", "--quality-control"])
def test_known_labels_of_nobody_are_said_to_be_so(tmp_path, capsys, monkeypatch, option) -> None:
    """Labellers are scored by labels of which nobody knows who made them, and nobody is told."""
    monkeypatch.setattr(serving, "serve", lambda *_, **__: None)
    pool = make_pool(tmp_path / "pool", 1, 1)
    row = {"id": "a", "problem": "One?", "steps": ["x"], "label": -1}
    for made_by, warned in ((None, True), ("people", False)):
        file = write_jsonl(tmp_path / "k.jsonl", [row if made_by is None else {**row, "label_source": made_by}])
        command = ["label", "serve", str(pool.path), "--name", str(made_by), "--port", "0", "--labeller", "ann"]
        assert main([*command, option, str(file)]) == 0
        assert ("k.jsonl: nobody says who made these labels" in capsys.readouterr().err) is warned


def test_without_the_extra(tmp_path, capsys, monkeypatch) -> None:
    """One line that says what to install, not a traceback."""
    monkeypatch.setattr(serving, "EXTRA", ("starlette", "no_such_library"))
    assert main(["label", "serve", str(tmp_path), "--labeller", "ann"]) == 1
    assert "needs no_such_library: pip install 'prm_eval[label]'" in capsys.readouterr().err


def test_agreement_and_export_by_command(tmp_path, capsys) -> None:
    """The commands on a folder that is no campaign, and on one that is."""
    assert main(["label", "agreement", str(tmp_path)]) == 1
    assert "prm-eval label serve" in capsys.readouterr().err
    campaign = make_campaign(make_pool(tmp_path / "pool", 2, 1), second_opinion=1)
    for who in ("ann", "bob"):
        campaign.invite(who, "labeller")
    ledger = Ledger(campaign)
    for who in ("ann", "bob"):
        label(ledger, who, [1, -1])
        label(ledger, who, [], "give_up")
    campaign.close()
    assert main(["label", "agreement", str(campaign.folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["alike"] == 2 and report["alpha_steps"]["value"] == pytest.approx(1.0)
    command = ["label", "export", str(campaign.folder), "--to", "processbench", "-o", str(tmp_path / "out.jsonl")]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "exported   1 solution" in said.out and "left out   1: give_up" in said.err
