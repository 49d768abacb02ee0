"""What can be a member of a population: `base` holds the contract, `registry` the list. Nothing here knows a search method."""
