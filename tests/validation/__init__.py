"""Validation of the margin engine on real market history, run by hand: `python -m tests.validation --history DIR`."""
