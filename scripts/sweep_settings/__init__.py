"""What each pair of settings for results that are set aside would have saved on transcripts. For developers."""
