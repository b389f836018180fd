"""Parts of the data-plane tests: real network namespaces, iptables rules, Envoy and Towpath."""
