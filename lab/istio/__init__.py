"""Stand-ins for Istio: its sidecar package on the machine, and istiod's end of it on the lab's API server."""
