"""What tool output looks like, one module a kind.

Every module reads text of its kind and writes it shorter, and can undo what it wrote; none knows what a request body
is.
"""
