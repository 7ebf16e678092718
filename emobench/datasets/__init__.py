"""Built-in datasets: light specs here, loaders beside them."""
