"""PyTorch: torch.nn layers, torch's automatic differentiation, torch.optim optimizers."""
