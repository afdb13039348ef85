"""What every piece of the lab is made of: steps, processes, the cache, the Go toolchain."""
