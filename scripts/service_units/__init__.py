"""Behind scripts/service: the proxy as a service of the user's own, without a client.

`description` says what the service is; `systemd` and `launchd` write that down for the one and the other; `running` is
what they start. Nothing here changes a client's settings.
"""
