"""The words of the business: exact, immutable, without I/O."""
