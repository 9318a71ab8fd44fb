"""The demo: a stand-in for Foundry on loopback and a scripted client session. No Azure, no Claude Code."""
