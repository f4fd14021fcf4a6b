"""opsctl: the toolkit that keeps the venue up (ARCHITECTURE.md)."""
