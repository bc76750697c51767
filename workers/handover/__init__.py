"""Documents of validation tools and of other orchestrators: what Weir makes of them."""
