"""What the proxies and LIBRA reach on published ground truth; the tables are not part of the project."""
