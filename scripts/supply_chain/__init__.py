"""What the project is made of besides its own code: which packages, under which licences, and what is known of them."""
