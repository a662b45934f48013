"""A connection's socket, as a thread of the pool uses it to answer."""

import socket
from typing import Any, BinaryIO

# Bytes that may wait for the client before the thread does. No answer but an export is longer.
_MOST_UNSENT = 512 * 1024


class AnswerSocket:
    """Sends what the client takes at once. The rest is `unsent`, for the loop: no thread waits for a slow client."""

    def __init__(self, plain: socket.socket) -> None:
        self.plain = plain
        self.unsent = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def sendall(self, data: bytes) -> None:
        self.unsent += data
        del self.unsent[: self._send_at_once()]
        if len(self.unsent) > _MOST_UNSENT:
            self._flush()

    def sendfile(self, file: BinaryIO, offset: int = 0, count: int | None = None) -> int:
        self._flush()
        return self.plain.sendfile(file, offset, count)

    def _send_at_once(self) -> int:
        """Send without waiting, and return how many bytes the client took."""
        time_out = self.plain.gettimeout()
        self.plain.setblocking(False)
        try:
            return self.plain.send(self.unsent)
        except BlockingIOError:
            return 0
        finally:
            self.plain.settimeout(time_out)

    def _flush(self) -> None:
        unsent, self.unsent = self.unsent, bytearray()  # if it fails, nobody knows how much was sent
        self.plain.sendall(unsent)
