"""The columns of the paper's Table 1, and the tables of networks that they need."""
