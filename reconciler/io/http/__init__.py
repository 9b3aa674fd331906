"""What every HTTP client here shares: the transport, TLS, proxies, and the words for what failed."""
