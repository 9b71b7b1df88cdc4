"""Stand-ins for packages that are not installed where the tests run."""
