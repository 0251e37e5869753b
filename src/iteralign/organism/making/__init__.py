"""What makes the organism's weights; nothing here runs when it answers."""
