"""A Kubernetes API with Istio's CRDs and no nodes: etcd, kube-apiserver and kube-controller-manager."""
