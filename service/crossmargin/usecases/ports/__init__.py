"""What the use cases need of the outside world. `adapters/memory` and `adapters/postgres` pass one contract suite."""
