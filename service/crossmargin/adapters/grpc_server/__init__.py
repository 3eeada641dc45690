"""The API over gRPC: messages in, use cases called, messages and statuses out."""
