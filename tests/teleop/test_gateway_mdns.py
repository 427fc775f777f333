"""The server's name is found by another program on the network, and is gone with the server."""

from __future__ import annotations

import socket

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from teleop.gateway.mdns import SERVICE, Announcement, local_name
from teleop.gateway.tls import host_names

LOOPBACK = ["127.0.0.1"]


async def found(timeout_ms: int = 2000) -> AsyncServiceInfo | None:
    asker = AsyncZeroconf(interfaces=LOOPBACK)
    info = AsyncServiceInfo(SERVICE, f"{local_name().removesuffix('.local')}.{SERVICE}")
    try:
        known = await info.async_request(asker.zeroconf, timeout_ms)
    finally:
        await asker.async_close()
    return info if known else None


async def test_the_server_is_found_by_name_while_it_runs() -> None:
    server = Announcement(8765, tls=True, addresses=["127.0.0.1"], interfaces=LOOPBACK)
    assert await server.start() == local_name()
    info = await found()
    assert info is not None
    assert info.server == f"{local_name()}."
    assert info.port == 8765
    assert info.properties == {b"path": b"/xr", b"tls": b"1"}
    assert socket.inet_ntoa(info.addresses[0]) == "127.0.0.1"
    await server.stop()
    assert await found(300) is None


async def test_where_there_is_no_network_there_is_no_name() -> None:
    nowhere = Announcement(1, tls=False, addresses=["127.0.0.1"], interfaces=["203.0.113.7"])
    assert await nowhere.start() == ""


def test_the_certificate_holds_for_the_name() -> None:
    assert local_name() in host_names()
