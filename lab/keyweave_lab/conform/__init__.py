"""Black-box conformance suites: what a stranger's server does, seen from outside."""
