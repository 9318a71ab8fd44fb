"""What is set: the addon's options, mitmproxy's, and what a company allows."""
