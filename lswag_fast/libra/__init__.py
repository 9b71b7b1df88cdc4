"""LIBRA: choosing proxies and combining them by rank."""
