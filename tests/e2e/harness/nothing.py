"""A mitmproxy script that does nothing: mitmdump without the addon."""
