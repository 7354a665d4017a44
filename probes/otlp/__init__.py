"""What services send of their own requests: OpenTelemetry metrics over HTTP (OTLP), received where that is wanted."""
