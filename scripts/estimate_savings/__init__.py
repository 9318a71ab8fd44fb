"""What the engine would have saved on the user's own Claude Code transcripts. Reads them, and writes nothing."""
