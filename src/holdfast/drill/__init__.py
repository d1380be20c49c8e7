"""Floor 3: harmless attempts in a replica, and everything that undoes them. It predicts nothing and prints nothing."""
