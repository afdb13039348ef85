module meshvm.test/sidecar

go 1.24
