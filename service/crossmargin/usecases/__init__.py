"""What a caller can ask; one verb per file."""
