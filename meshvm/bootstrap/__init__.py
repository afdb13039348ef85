"""What happens on the machine: the shell scripts, and the bundle that they read on standard input."""
