"""What sidecars report of the traffic that leaves them, in bounded memory."""
