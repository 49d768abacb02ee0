"""What can be a member of a population: `base` has the contract, `registry` the list. It knows no method."""
