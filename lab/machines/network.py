"""How do the lab's machines reach each other and the host, beside another lab and whatever the host's firewall says?

A switch of the lab's own (a bridge in a network namespace), one link from it to the host, one to the namespace of each
machine. The bridge is not in the host's namespace because there bridge-nf would hand machine-to-machine frames to the
host's FORWARD chain, which drops them wherever Docker runs.
"""

import fcntl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.base.errors import LabError
from lab.machines.leftovers import NETNS, clean
from lab.machines.resolver import Resolver

FOLDER = Path("/run/meshvm")
"""Locks and the machines' disks: one place for all labs of the host, so that a lab finds what a dead one left."""
INDEXES = range(1, 200)
FIRST_MACHINE = 10
# Every interface of a new namespace has IPv6 then, unless the host's administrator has turned it off.
_IPV6_OFF = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
_HAS_IPV6 = _IPV6_OFF.exists() and _IPV6_OFF.read_text().strip() == "0"


@dataclass(frozen=True)
class Attachment:
    """A machine's end of the network.

    :param netns: the file of its network namespace.
    :param number: the last part of its addresses.
    :param private_ip: what cloud calls the private address.
    :param public_ip: the one that a program outside of the cloud would use.
    :param ipv6: its IPv6 address; empty where the host's kernel has no IPv6.
    """

    netns: Path
    number: int
    private_ip: str
    public_ip: str
    ipv6: str = ""


class Network:
    """The network of one lab: private 198.18.N.0/24, public 198.19.N.0/24 (RFC 2544's range), the host .1 of both.
    Where the kernel has IPv6 also fd00:6d76:N::/64, with the same last number.

    :param logs: folder for the log of every `ip` command.
    :param index: N; the first free one by default.
    """

    def __init__(self, logs: Path, index: int | None = None) -> None:
        self.name = "network"
        self.log = logs / "network.log"
        self.resolver: Resolver | None = None
        """The machines' DNS server at the host's private address; None while the network is down."""
        self._wanted = index
        self._index: int | None = None
        self._lock: IO[str] | None = None
        self._numbers: dict[str, int] = {}
        self._last = FIRST_MACHINE - 1
        # `ip netns add` makes /run/netns a shared mount when it is the first: not twice at a time.
        self._one_at_a_time = threading.RLock()

    @property
    def index(self) -> int:
        """N; an error before `start`."""
        if self._index is None:
            raise LabError("the lab's network is not up: start it first")
        return self._index

    @property
    def folder(self) -> Path:
        """Where this lab keeps what lives as long as it does."""
        return FOLDER / str(self.index)

    @property
    def host_ip(self) -> str:
        """The host's address on the private side."""
        return f"198.18.{self.index}.1"

    @property
    def host_public_ip(self) -> str:
        """The host's address on the public side."""
        return f"198.19.{self.index}.1"

    @property
    def host_ipv6(self) -> str:
        """The host's IPv6 address; empty where the kernel has no IPv6."""
        return self._ipv6(1)

    def netns(self, name: str) -> str:
        """The name of a machine's network namespace, and of the machine for systemd."""
        return f"meshvm{self.index}-{name}"

    def start(self) -> None:
        """Take an index that no other lab holds, clean what a dead lab left under it, and put up the switch."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._take_index()
        self._clean()
        self.folder.mkdir(mode=0o700, parents=True)
        switch, link = self.netns("switch"), self._link
        self._ip(f"netns add {switch}")
        self._quiet_bridge_filter(switch)
        self._ip(f"-n {switch} link set lo up")
        self._ip(f"-n {switch} link add br0 type bridge forward_delay 0 stp_state 0")
        self._ip(f"-n {switch} link set br0 up")
        self._ip(f"link add {link} type veth peer name host netns {switch}")
        self._ip(f"-n {switch} link set host master br0 up")
        self._ip(f"address add {self.host_ip}/24 dev {link}")
        self._ip(f"address add {self.host_public_ip}/24 dev {link}")
        self._ip(f"link set {link} up")
        if self.host_ipv6:
            self._ip(f"address add {self.host_ipv6}/64 dev {link} nodad")
        self.resolver = Resolver(self.host_ip)
        self.resolver.start()

    def ready(self) -> None:
        """`start` has done everything."""

    def stop(self) -> None:
        """Take back every namespace, link and folder, and the index."""
        if self.resolver is not None:
            self.resolver.stop()
        if self._index is not None:
            self._clean()
        self.resolver = None
        self._numbers.clear()
        if self._lock is not None:
            self._lock.close()
        self._lock = self._index = None

    def attach(self, name: str) -> Attachment:
        """A network namespace with eth0 and both addresses, up, for the machine `name`.

        A machine that was unplugged and not detached gets its addresses again.
        """
        with self._one_at_a_time:
            number = self._numbers[name] if name in self._numbers else self._free_number()
            self._numbers[name] = number
            self.unplug(name)
            self._plug(name, number)
            if self.resolver is not None:
                self.resolver.name(name, self._private(number))
        place = NETNS / self.netns(name)
        return Attachment(place, number, self._private(number), self._public(number), self._ipv6(number))

    def unplug(self, name: str) -> None:
        """Remove the namespace with its links, rules and connections, and keep the addresses: what a power cut does."""
        with self._one_at_a_time:
            if (NETNS / self.netns(name)).exists():
                self._ip(f"netns delete {self.netns(name)}")
                # A link lives on while some process is still in the namespace.
                self._ip(f"-n {self.netns('switch')} link delete {_port(self._numbers.get(name, 0))}", check=False)

    def detach(self, name: str) -> None:
        """Unplug, and give the addresses back."""
        with self._one_at_a_time:
            self.unplug(name)
            self._numbers.pop(name, None)
            if self.resolver is not None:
                self.resolver.forget(name)

    def _plug(self, name: str, number: int) -> None:
        netns, switch, port = self.netns(name), self.netns("switch"), _port(number)
        # The same hardware address for the same address: no neighbour has to forget another one.
        mac = f"02:12:{self.index:02x}:00:00:{number:02x}"
        self._ip(f"netns add {netns}")
        self._ip(f"-n {netns} link set lo up")
        self._ip(f"-n {switch} link add {port} type veth peer name eth0 address {mac} netns {netns}")
        self._ip(f"-n {switch} link set {port} master br0 up")
        self._ip(f"-n {netns} address add {self._private(number)}/24 dev eth0")
        self._ip(f"-n {netns} address add {self._public(number)}/24 dev eth0")
        self._ip(f"-n {netns} link set eth0 up")
        if self._ipv6(number):
            # Nobody else has it: without `nodad` nothing could listen on it for a second.
            self._ip(f"-n {netns} address add {self._ipv6(number)}/64 dev eth0 nodad")
        self._ip(f"-n {netns} route add default via {self.host_ip} src {self._private(number)}")

    def _private(self, number: int) -> str:
        return f"198.18.{self.index}.{number}"

    def _public(self, number: int) -> str:
        return f"198.19.{self.index}.{number}"

    def _ipv6(self, number: int) -> str:
        return f"fd00:6d76:{self.index}::{number}" if _HAS_IPV6 else ""

    def _free_number(self) -> int:
        """The next number, not the last one freed: what still speaks to a gone machine must not meet another."""
        room = range(FIRST_MACHINE, 255)
        after: list[int] = [*range(self._last + 1, room.stop), *range(room.start, self._last + 1)]
        for number in after:
            if number not in self._numbers.values():
                self._last = number
                return number
        raise LabError(f"all {len(room)} addresses of the lab's network are taken: stop some machines")

    def _take_index(self) -> None:
        FOLDER.mkdir(mode=0o755, exist_ok=True)
        for index in INDEXES if self._wanted is None else [self._wanted]:
            lock = (FOLDER / f"{index}.lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            self._lock, self._index = lock, index
            return
        taken = "every index" if self._wanted is None else f"index {self._wanted}"
        raise LabError(f"another lab of this host holds {taken} of the network: stop it (locks are in {FOLDER})")

    def _clean(self) -> None:
        clean(self.folder, self.netns(""), self._link)

    @property
    def _link(self) -> str:
        return f"mv{self.index}"

    def _quiet_bridge_filter(self, switch: str) -> None:
        """The switch's own namespace has no rules; not asking them saves the way."""
        script = "for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 > $f; done"
        subprocess.run(["ip", "netns", "exec", switch, "sh", "-c", script], check=False, stderr=subprocess.DEVNULL)

    def _ip(self, arguments: str, check: bool = True) -> None:
        with self.log.open("a") as log:
            log.write(f"ip {arguments}\n")
            log.flush()
            done = subprocess.run(
                ["ip", *arguments.split()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )
        if check and done.returncode != 0:
            raise LabError(f"the lab's network: `ip {arguments}` failed", self.log)


def _port(number: int) -> str:
    return f"p{number}"
