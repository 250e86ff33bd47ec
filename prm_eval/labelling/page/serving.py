"""The server of a campaign: one process, one address, until it is stopped."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.labelling.page.campaign import Campaign
from prm_eval.labelling.page.events import FILE

LOCK = "campaign.lock"
PORT = 8765
HOST = "127.0.0.1"
EXTRA = ("starlette", "uvicorn", "krippendorff")
"""What the extra ``label`` brings."""


class AlreadyServed(PrmEvalError):
    """Another process serves this campaign."""


def require_extra() -> None:
    """Insist on the libraries of the page.

    Raises:
        PrmEvalError: One is missing; says how to install it.
    """
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise PrmEvalError(f"the labelling page needs {', '.join(missing)}: pip install 'prm_eval[label]'")


@contextmanager
def only_server(folder: Path) -> Iterator[None]:
    """Be the only process that serves a campaign: it answers from memory, and two would not know of each other's marks.

    The lock goes with the process, however it ends.

    Raises:
        AlreadyServed: Another one does.
    """
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise AlreadyServed(f"{folder / FILE} is being served by another process: stop that first") from None
        yield
    finally:
        os.close(number)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        PrmEvalError: The port is taken, or the host is none of this machine.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(128)
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        raise PrmEvalError(f"cannot listen on {host}, port {port} ({error.strerror}): give another --port") from None
    return bound


def address_of(bound: socket.socket, host: str, names: Sequence[str] = ()) -> str:
    """Return the address that links begin with."""
    shown = names[0] if names else host if host not in ("0.0.0.0", "::") else socket.gethostname()  # noqa: S104
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{bound.getsockname()[1]}"


def is_local(host: str) -> bool:
    """Say whether only this machine can reach a host."""
    from prm_eval.labelling.page.guards import LOCAL

    return host in LOCAL


def serve(campaign: Campaign, bound: socket.socket, host: str, names: Sequence[str] = ()) -> None:
    """Answer until the process is interrupted.

    Args:
        campaign: The campaign; whoever calls holds :func:`only_server`.
        bound: The socket.
        host: What it listens on.
        names: Further names under which it may be asked.
    """
    import uvicorn

    from prm_eval.labelling.page.app import make_app
    from prm_eval.labelling.page.guards import LOCAL
    from prm_eval.labelling.page.ledger import Ledger

    app = make_app(Ledger(campaign), {*LOCAL, host, *names}, any_address=not is_local(host))
    config = uvicorn.Config(
        app,
        log_level="warning",
        # its lines would have the secret links
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http="h11",
        limit_concurrency=200,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=16_384,
    )
    uvicorn.Server(config).run(sockets=[bound])
