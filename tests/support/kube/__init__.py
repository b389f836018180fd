"""A real API server for tests: kube-apiserver with etcd on loopback, and kubectl."""
