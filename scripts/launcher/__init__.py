"""Behind scripts/claude-foundry: Claude Code, started through a proxy of its own.

Read `session` first: it names the steps. Nothing here changes a file of the user's, a base URL or the system's trust.
"""
