"""What tests of alerts share: promtool, which plays Prometheus over any time in a moment."""
