"""The oracle that ships with the package: no server, no download."""
