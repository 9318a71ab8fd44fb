"""What was saved, in money, from the ledger: on a terminal, as a page, as JSON and as CSV."""
