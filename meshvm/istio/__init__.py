"""What Istio expects, as pure functions from plain values to objects and text."""
