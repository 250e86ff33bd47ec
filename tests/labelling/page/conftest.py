"""No server outlives the tests of its file, also where one fails between its start and its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.labelling.page.campaigns import STARTED


@pytest.fixture(scope="module", autouse=True)
def no_server_is_left() -> Iterator[None]:
    yield
    while STARTED:
        server = STARTED.pop()
        if server.process.poll() is None:
            server.kill()
