"""What makes the embedded oracle's weights; nothing here runs when it judges."""
