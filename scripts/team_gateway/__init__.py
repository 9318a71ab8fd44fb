"""A proxy for a team, behind `scripts/gateway`: who may use it, and how it is started and asked whether it works."""
