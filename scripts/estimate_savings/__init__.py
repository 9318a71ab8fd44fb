"""What the addon would have saved on the user's own Claude Code transcripts. Reads them, and writes nothing."""
