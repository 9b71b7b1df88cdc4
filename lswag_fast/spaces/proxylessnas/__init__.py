"""The ProxylessNAS space of chains of mobile inverted bottlenecks."""
