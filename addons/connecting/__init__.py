"""What happens before there is a request: where the proxy listens, who comes, and whom it is to them."""
