"""Debian machines with their own systemd and sshd, each in its own network namespace."""
