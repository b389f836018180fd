"""What a push to 1,000 sidecars costs, beside other servers that send the same resources."""
