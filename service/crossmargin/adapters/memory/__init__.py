"""Storage on dictionaries: the same promises as on PostgreSQL, but for one process and as long as it lives."""
