"""What LIBRA's rules and packaged selections are worth; the tables of accuracies are not part of the project."""
