"""The gateway: HTTP, operator sockets, the session, and the bridge between them and the bus."""
