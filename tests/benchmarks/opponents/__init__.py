"""The opponents: what else could do the work of the engine, written to be as fast as it can."""
