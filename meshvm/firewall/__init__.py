"""Which flow needs which port from where to where, and those flows as a cloud's rules."""
