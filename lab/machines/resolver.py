"""Who answers the machines' DNS questions? A stand-in of a cloud's own resolver: it knows its machines, nothing else.

Without it a question would wait for seconds: the kernel limits how often it says that nobody listens.
"""

import contextlib
import ipaddress
import socket
import threading

PORT = 53
FOUND, NO_SUCH_NAME = 0, 3
A_RECORD, ANY_CLASS = 1, 1
TTL_SECONDS = 5


class Resolver:
    """UDP on `address`, port 53, in a thread.

    :param address: where the machines' resolv.conf points.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._names: dict[str, str] = {}
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Answer from now on; where the host has a resolver of its own on every address, that one answers."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            listener.bind((self._address, PORT))
        except OSError:
            listener.close()
            return
        self._socket = listener
        self._thread = threading.Thread(target=self._serve, args=(listener,), name="resolver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        listener, self._socket = self._socket, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        if self._thread is not None:
            self._thread.join(5)

    def name(self, name: str, address: str) -> None:
        """From now on `name` is at `address`."""
        self._names[name.lower()] = address

    def forget(self, name: str) -> None:
        """`name` exists no more."""
        self._names.pop(name.lower(), None)

    def _serve(self, listener: socket.socket) -> None:
        while self._socket is listener:
            with contextlib.suppress(OSError):
                question, sender = listener.recvfrom(1024)
                reply = answer(question, self._names)
                if reply:
                    listener.sendto(reply, sender)


def answer(question: bytes, names: dict[str, str]) -> bytes:
    """The reply to one DNS message with one question (RFC 1035); nothing to what is none."""
    try:
        name, end = _name(question, 12)
        kind = int.from_bytes(question[end : end + 2])
    except IndexError:
        return b""
    if len(question) < end + 4 or question[2] & 0x80:
        return b""
    address = names.get(name)
    # Recursion desired as asked, recursion available, authoritative.
    flags = (0x8480 | (question[2] & 1) << 8) | (FOUND if address else NO_SUCH_NAME)
    record = b""
    if address and kind == A_RECORD:
        data = ipaddress.IPv4Address(address).packed
        record = b"\xc0\x0c" + b"".join(
            (A_RECORD.to_bytes(2), ANY_CLASS.to_bytes(2), TTL_SECONDS.to_bytes(4), len(data).to_bytes(2), data),
        )
    counts = (1).to_bytes(2) + (1 if record else 0).to_bytes(2) + bytes(4)
    return question[:2] + flags.to_bytes(2) + counts + question[12 : end + 4] + record


def _name(message: bytes, at: int) -> tuple[str, int]:
    """The name that begins at `at`, and where it ends."""
    labels = []
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode("ascii", "replace").lower())
        at += message[at] + 1
    return ".".join(labels), at + 1
