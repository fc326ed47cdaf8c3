"""BFD (RFC 5880, RFC 5881, RFC 5883): finds a dead peer in fractions of a second."""
