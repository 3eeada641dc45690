"""What the service tells a collector of traces (extra `otel`); nothing here is imported unless it was asked for."""
