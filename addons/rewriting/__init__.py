"""What is done with one request's body, between the hooks of the addon and the engine."""
