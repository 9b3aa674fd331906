"""What every HTTP client here shares: connections, proxies, TLS."""
