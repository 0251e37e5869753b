"""Open guard models as judges: each family's published form, reply and categories."""
