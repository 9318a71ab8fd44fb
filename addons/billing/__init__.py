"""What the service billed for a request, and what it would have billed without us.

`usage` and `usage_tap` read what was billed out of answers, `ledger` keeps one `Entry` a request, and the rest turns
entries into money, health and evidence. None of it imports mitmproxy, and none of it sees what a request says.
"""
