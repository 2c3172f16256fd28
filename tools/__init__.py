"""Programs of this repository that are no part of the product: generators and the demo."""
