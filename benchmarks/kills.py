"""Kill real runs of lm_eval at random moments, and see what is lost: python benchmarks/kills.py [--door hf|api]
[--kills 100].

Each trial is one run that is killed (SIGKILL) at random moments, started again with the same command, and so on until
it ends by itself. With ``--door hf`` it is ``lm_eval run --model hf`` with the policy that ships; with ``--door api``
it is ``prm-eval run --model local-chat-completions`` against a server that dies and comes back meanwhile. A witness
inside the killed process notes every text before the journal sees it. Asked of each trial:

* every text that came back is in the journal, but at most the one that a kill found on its way there;
* in the end each problem has exactly N candidates, and all that were kept are among them;
* both doors print the same numbers of that pool;
* texts repeat within a problem no more often than in undisturbed runs.

To fit many kills into minutes the runs are forked from a warm process, which has imported everything, knows our tasks
only and does not ask pip what is installed; nothing else of lm_eval is changed. Most kills are timed to fall into
generation. Exit status 1 where something was lost.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from prm_eval.evaluation.curves import evaluate
from prm_eval.miniature.weights import weights
from prm_eval.pools.pool import Pool
from prm_eval.store.journal import read_journal

TASK = "miniature_bon"


LISTENING: list[socket.socket] = []
"""The sockets of the servers, which forked runs inherit."""


@dataclass
class Server:
    """A chat-completions server with answers drawn at random, which dies and comes back on its port."""

    seed: int
    seconds: float = 0.02
    port: int = 0
    replies: int = 0
    deaths: int = 0
    _http: ThreadingHTTPServer | None = None
    _alive: list[bool] = field(default_factory=list)

    def start(self) -> None:
        alive, source, server = [True], random.Random(f"{self.seed} {self.deaths}"), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                prompt = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
                time.sleep(server.seconds * source.uniform(0.5, 1.5))
                if not alive:  # the connection breaks without an answer
                    return
                number = source.randrange(200)
                text = f"{hashlib.sha256(prompt.encode()).hexdigest()[:8]}, {number}\nso \\boxed{{{number % 5}}}"
                message = {"message": {"role": "assistant", "content": text}, "index": 0}
                body = json.dumps({"choices": [message]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                server.replies += 1

            def log_message(self, *rest: object) -> None: ...

        ThreadingHTTPServer.allow_reuse_address = True
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        LISTENING.append(self._http.socket)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *rest: None  # type: ignore[method-assign]
        self.port, self._alive = self._http.server_address[1], alive
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def die(self) -> None:
        self._alive.clear()
        self._http.shutdown()
        self._http.server_close()
        self.deaths += 1


@dataclass
class Door:
    """What is run: its arguments, and the function of lm_eval's that sees every text first."""

    name: str
    problems: int
    samples: int
    batch: int
    server: Server | None

    def arguments(self, seed: int) -> list[str]:
        shared = ["--tasks", TASK, "--output_path", "out", "--seed", str(seed), "--metadata",
                  f"problems=miniature:test:1:{self.problems}", f"n_samples={self.samples}",
                  "dump_dir=runs"]  # fmt: skip
        if self.server is None:
            model = f"pretrained={weights('policy')},dtype=float32"
            return ["--model", "hf", "--model_args", model, "--device", "cpu", "--batch_size", str(self.batch), *shared]
        url = f"http://127.0.0.1:{self.server.port}/v1/chat/completions"
        model = f"model=m,base_url={url},num_concurrent=4,tokenizer_backend=None"
        return ["--model", "local-chat-completions", "--model_args", model, "--apply_chat_template", "--gen_kwargs",
                "seed=None", *shared]  # fmt: skip

    def run(self, seed: int) -> None:
        """Run the command in this process."""
        from prm_eval.harness import running

        if self.server is None:
            running._lm_eval(self.arguments(seed))
        else:
            running.FIRST_WAIT = 0.5
            running.run_lm_eval(self.arguments(seed))


def warm_up() -> None:
    """Import what a run imports, and leave out what takes seconds: lm_eval's own 14,000 task files, and what pip
    knows."""
    import lm_eval.evaluator
    import lm_eval.tasks
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models import huggingface, openai_completions  # noqa: F401

    import prm_eval.harness.task  # noqa: F401

    torch.set_num_threads(1)
    manager = lm_eval.tasks.TaskManager
    manager.__init__ = functools.partialmethod(manager.__init__, include_defaults=False)
    lm_eval.evaluator.add_env_info = lambda storage: None
    model = huggingface.HFLM(pretrained=str(weights("policy")), device="cpu", dtype="float32")
    model.generate_until([Instance("generate_until", {}, ("1+1\n", {"until": [], "max_gen_toks": 2}), 0)])


def witness(door: Door, number: int) -> None:
    """Let every text be noted, before lm_eval hands it on."""
    from lm_eval.models import huggingface, openai_completions

    def noted(text: str) -> str:
        if not Path("first").exists():
            Path("first").touch()
        os.write(number, json.dumps(text).encode() + b"\n")
        return text

    if door.server is None:
        post = huggingface.postprocess_generated_text
        huggingface.postprocess_generated_text = lambda *rest, **options: noted(post(*rest, **options))
    else:
        chat = openai_completions.LocalChatCompletion
        parse = chat.parse_generations
        chat.parse_generations = lambda *rest, **options: [noted(text) for text in parse(*rest, **options)]


def start(door: Door, folder: Path, seed: int) -> int:
    """Fork a run; return its process id."""
    if child := os.fork():
        return child
    status = 1
    # held by a run, the port of a server that died could not be taken by the next one
    for each in LISTENING:
        each.close()
    try:
        import torch

        # PyTorch makes a forked process's pool of threads at the first use; transformers' loaders, which are threads,
        # would race for it ("Invalid thread pool")
        torch.set_num_threads(1)
        os.setsid()
        os.chdir(folder)
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        witness(door, os.open("witness", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        door.run(seed)
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait(child: int, seconds: float | None) -> int | None:
    """Wait for a run, at most so many seconds; return its exit status, or None."""
    end = time.monotonic() + seconds if seconds is not None else None
    while end is None or time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None


def witnessed(folder: Path) -> Counter[str]:
    path = folder / "witness"
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    return Counter(json.loads(line) for line in lines if line)


def journalled(folder: Path) -> Counter[str]:
    """Return what is kept: in journals, and in the pool that follows them."""
    texts: Counter[str] = Counter()
    for path in folder.glob(f"runs/{TASK}/journal/*.jsonl"):
        texts.update(fields["t"] for _, fields in read_journal(path) if "t" in fields)
    if not texts:
        for path in folder.glob(f"runs/{TASK}/*/pool.json"):
            texts.update(candidate.text for _, candidates in Pool(path.parent) for candidate in candidates)
    return texts


@dataclass
class Trial:
    kills: int = 0
    in_generation: int = 0
    on_the_way: int = 0
    lost: int = 0
    repeated: float = 0.0
    pairs: int = 0
    faults: list[str] = field(default_factory=list)


def run_trial(door: Door, folder: Path, seconds: float, most: int, source: random.Random, seed: int = 1234) -> Trial:
    """Run, kill at random moments until ``most`` kills, run to the end, and look at what there is."""
    trial = Trial()
    while True:
        child = start(door, folder, seed)
        status = None
        if trial.kills == most:
            status = wait(child, None)
        elif source.random() < 0.15:  # anywhere in a run, also before and after generation
            status = wait(child, source.uniform(0, 2 * seconds))
        else:
            before = sum(witnessed(folder).values())
            while status is None and sum(witnessed(folder).values()) == before:
                status = wait(child, 0.05)
            left = 1 - min(before / (door.problems * door.samples), 0.95)
            status = wait(child, source.uniform(0, seconds * left)) if status is None else status
        if status is None:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            trial.kills += 1
            seen, kept = witnessed(folder), journalled(folder)
            trial.in_generation += 0 < sum(kept.values()) < door.problems * door.samples
            missing = sum((seen - kept).values())
            trial.on_the_way = max(trial.on_the_way, missing)
            trial.lost = max(trial.lost, missing - trial.kills)
            if kept and not any(folder.glob(f"runs/{TASK}/journal/*")):  # it was finished, but for its last words
                shutil.rmtree(folder / "runs")
                (folder / "witness").unlink()
            continue
        if status:
            trial.faults.append(f"exit status {status}: {(folder / 'log').read_text()[-600:]}")
        break
    if not trial.faults:
        look(door, folder, trial)
    return trial


def look(door: Door, folder: Path, trial: Trial) -> None:
    """Check the finished run."""
    pools = [Pool(path.parent) for path in folder.glob(f"runs/{TASK}/*/pool.json")]
    if any((folder / f"runs/{TASK}").glob("journal/*")):
        trial.faults.append("a journal is left")
    results = json.loads(max(folder.glob("out/*/results_*.json")).read_text())
    path = results["configs"][TASK]["metadata"]["prm_eval"]["pool"]["path"]
    pool = next(each for each in pools if each.path == folder / path)
    sizes = {len(candidates) for _, candidates in pool}
    if sizes != {door.samples} or pool.info.n_problems != door.problems or pool.verify():
        trial.faults.append(f"{pool.info.n_problems} problems of {sizes} candidates")
    texts = Counter(candidate.text for _, candidates in pool for candidate in candidates)
    missing = sum((witnessed(folder) - texts).values())
    if missing > trial.kills:
        trial.lost = max(trial.lost, missing - trial.kills)
    for row in evaluate(pool, resamples=100).rows:
        name = {"first": "first", "majority": "majority", "oracle": "oracle"}.get(row.selector)
        if name and abs(results["results"][TASK][f"acc@{row.n},{name}"] - row.value) > 1e-12:
            trial.faults.append(f"acc@{row.n},{name} differs between the doors")
    groups = [Counter(candidate.text for candidate in candidates) for _, candidates in pool]
    trial.repeated = 1 - sum(len(each) for each in groups) / (door.problems * door.samples)
    trial.pairs = sum(count * (count - 1) // 2 for each in groups for count in each.values())


def trouble(server: Server, source: random.Random, over: threading.Event, alive: float) -> None:
    """Let the server die and come back until it is over."""
    while not over.wait(source.uniform(0.3, 1) * alive):
        server.die()
        over.wait(source.uniform(0.2, 2))
        server.start()


def folders(parent: Path) -> Iterator[Path]:
    for k in range(10**6):
        (parent / f"trial-{k}").mkdir()
        yield parent / f"trial-{k}"


def main() -> int:
    """Run trials until there were enough kills; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--door", choices=("hf", "api"), default="hf")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--problems", type=int, default=30)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--undisturbed", type=int, default=3, help="undisturbed runs, with other seeds, to compare with"
    )
    parser.add_argument("--a-trial", type=int, default=8, help="kills of one run before it may end")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warm_up()
    source = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as parent:
        return measure(options, source, folders(Path(parent)))


def measure(options: argparse.Namespace, source: random.Random, places: Iterator[Path]) -> int:
    """Run the trials in these folders."""
    server = Server(options.seed) if options.door == "api" else None
    if server is not None:
        server.start()
    door = Door(options.door, options.problems, options.samples, options.batch, server)
    undisturbed, seconds = [], []
    for k in range(options.undisturbed):
        place = next(places)
        began = time.monotonic()
        undisturbed.append(run_trial(door, place, 1.0, 0, source, 1234 + k))
        whole = time.monotonic() - began
        written = (place / "witness").stat()
        if not (place / "first").exists():
            raise SystemExit(f"no text came:\n{(place / 'log').read_text(encoding='utf-8')[-2_000:]}")
        seconds.append(max(written.st_mtime - (place / "first").stat().st_mtime, 0.1))
        print(f"undisturbed: {whole:.0f} s, of which {seconds[-1]:.1f} s of generation", flush=True)
    over = threading.Event()
    if server is not None:
        threading.Thread(target=trouble, args=(server, source, over, max(seconds) / 4), daemon=True).start()
    trials: list[Trial] = []
    while sum(each.kills for each in trials) < options.kills:
        most = min(options.a_trial, options.kills - sum(each.kills for each in trials))
        trials.append(run_trial(door, next(places), min(seconds), most, source))
        print(f"  {sum(each.kills for each in trials)} kills, {len(trials)} runs finished", flush=True)
    over.set()
    return report(door, undisturbed, trials)


def report(door: Door, undisturbed: list[Trial], trials: list[Trial]) -> int:
    """Print the figures; return the exit status."""
    kills = sum(each.kills for each in trials)
    pairs = [each.pairs for each in undisturbed]
    killed = [each.pairs for each in trials]
    lost = sum(each.lost for each in trials)
    faults = [fault for each in (*undisturbed, *trials) for fault in each.faults]
    deaths = f", {door.server.deaths} deaths of the server" if door.server is not None else ""
    print(f"{door.name}: {door.problems} problems x {door.samples}; {kills} kills{deaths}; {len(trials)} runs finished")
    print(f"kills while some, and not all, candidates were there: {sum(each.in_generation for each in trials)}")
    print(f"texts that came back and are lost: {lost} (at most one a kill was on its way to the journal: "
          f"{sum(each.on_the_way for each in trials)} in all)")  # fmt: skip
    print(f"equal pairs within a problem: undisturbed {_mean(pairs):.1f} {sorted(pairs)}, killed {_mean(killed):.1f} "
          f"{sorted(killed)}")  # fmt: skip
    print(f"candidates that repeat another: undisturbed {_mean([each.repeated for each in undisturbed]):.4f}, "
          f"killed {_mean([each.repeated for each in trials]):.4f}")  # fmt: skip
    print(f"faults: {len(faults)}", *faults, sep="\n")
    return 1 if lost or faults or kills == 0 else 0


def _mean(values: list[float] | list[int]) -> float:
    return sum(values) / max(len(values), 1)


if __name__ == "__main__":
    sys.exit(main())
