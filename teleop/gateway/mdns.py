"""A name on the local network, so that nobody types an address: `telecap-HOST.local`.

Multicast DNS (RFC 6762) with service discovery (RFC 6763) as `_telecap._tcp`. Nothing leaves the
local network.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from zeroconf import Error, IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

log = logging.getLogger(__name__)

SERVICE = "_telecap._tcp.local."


def local_name() -> str:
    """Name of this computer's telecap on the local network, e.g. `telecap-lab3.local`."""
    host = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().split(".")[0].lower()).strip("-")
    return f"telecap-{host or 'host'}.local"


class Announcement:
    """Answers for the name while the server runs.

    Args:
        port: Of the server.
        tls: It speaks https.
        addresses: IP addresses it can be reached at.
        interfaces: Addresses of the interfaces to answer on; all when left out.
    """

    def __init__(
        self,
        port: int,
        *,
        tls: bool,
        addresses: Sequence[str],
        interfaces: Sequence[str] | None = None,
    ) -> None:
        self._interfaces = interfaces
        name = local_name()
        self._info = ServiceInfo(
            SERVICE,
            f"{name.removesuffix('.local')}.{SERVICE}",
            port=port,
            server=f"{name}.",
            addresses=[ip_address(address).packed for address in addresses],
            properties={"path": "/xr", "tls": "1" if tls else "0"},
        )
        self._zeroconf: AsyncZeroconf | None = None

    async def start(self) -> str:
        """Begin to answer; the name, empty where that is not possible."""
        try:
            self._zeroconf = (
                AsyncZeroconf(ip_version=IPVersion.V4Only)
                if self._interfaces is None
                else AsyncZeroconf(interfaces=list(self._interfaces))
            )
            await self._zeroconf.async_register_service(self._info, allow_name_change=True)
        except (OSError, Error) as error:
            log.warning("no name on the local network: %s", error)
            await self.stop()
            return ""
        return local_name()

    async def stop(self) -> None:
        """Say goodbye."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()
