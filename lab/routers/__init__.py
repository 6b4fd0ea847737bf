"""Stand-ins for routers that no package brings: OpenWrt's shell, VyOS' configuration shell, MikroTik's REST API.

Each one takes its device's own commands or calls, refuses paths, keys and values that it does not know, keeps a configuration
that survives a restart as the device's does, and applies what it is told to the nftables of the network it runs in, so that
packets prove the rule. They were written from the vendors' public documentation and sources and never compared with a device;
what they leave out is in docs/limits.md.
"""
