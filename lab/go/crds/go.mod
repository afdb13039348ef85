// Fetches the custom resource definitions of Istio for the lab: nothing of it is built.
module meshvm.test/crds

go 1.26.0

require istio.io/api v1.30.3
