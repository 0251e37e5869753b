"""The second embedded model's world: requests, answers and the rules that they follow."""
