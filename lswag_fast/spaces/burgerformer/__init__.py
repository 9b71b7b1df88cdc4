"""The BurgerFormer space: operations, blocks and stages of transformer-like networks."""
