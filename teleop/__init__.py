"""The live application: protocol, gateway, session, processes, robots, cameras, command line."""
