import socket
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from venue_parts import DIGEST, Keys, reply_frame

from engine import _core


class StandIn:
    """A core's end of the link, in a thread: it welcomes, remembers every command, and answers as `plan` says. It hangs up on who
    asks for a book.

    `plan` maps the number of a command (from 0) to what comes instead of "taken, 3 touched": a reply's fields, bytes, or None to hang up.
    """

    def __init__(self, digest=DIGEST, key="", welcome=True):
        self.digest, self.key, self.welcome = digest, key, welcome
        self.commands, self.plan = [], {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accept; close() alone does not
        self._listener.close()
        self._thread.join(10)

    def _serve(self):
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with link:
                self._serve_link(link)

    def _serve_link(self, link):
        decoder = _core.FrameDecoder()
        while data := link.recv(65536):
            for frame in decoder.feed(data):
                answer = self._answer(frame)
                if answer is None:
                    return
                link.sendall(answer)

    def _answer(self, frame):
        if frame[0] == "hello":
            if frame[3] != self.key:
                return None
            return _core.encode_welcome(4, 0, self.digest) if self.welcome else b""
        if frame[0] == "depth_request":
            return None
        assert frame[0] == "control", frame
        number = len(self.commands)
        self.commands.append(frame)
        planned = self.plan.get(number, {})
        if planned is None or isinstance(planned, bytes):
            return planned
        return reply_frame(**{"request_id": frame[1], "seq_num": number + 1, "order_qty": 3, **planned})


@pytest.fixture
def stand_in():
    made = []

    def make(**options):
        made.append(StandIn(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "keys.yaml")
