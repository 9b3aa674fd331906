"""The parts that all HTTP clients share: the transport, TLS, proxies, and the words for failures."""
