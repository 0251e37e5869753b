"""What writes the training chats of the second embedded model."""
