"""Rules over arguments and over existing YAML: one rule, one function, one message with the remedy."""
