"""What is measured by hand on a quiet machine: `latency` the addon as a whole, the modules beside it single parts.

Performance is never a timed test.
"""
