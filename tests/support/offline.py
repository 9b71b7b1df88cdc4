"""A machine without a network: whoever asks for one fails."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest


def refuse_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every look-up of a name and every connection fail the test, until it ends."""

    def refused(*_: object, **__: object) -> NoReturn:
        raise AssertionError("this must not ask for the network")

    for owner, name in ((socket, "getaddrinfo"), (socket, "create_connection"), (socket.socket, "connect")):
        monkeypatch.setattr(owner, name, refused)
