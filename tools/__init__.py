"""Development programs that are not part of the product: generators, pictures and the demo."""
