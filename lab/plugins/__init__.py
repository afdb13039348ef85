"""Stand-ins for provider plugins, each a small gRPC server that the engine starts."""
