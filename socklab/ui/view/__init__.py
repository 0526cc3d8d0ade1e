"""What the screen, the stage and plain text share: lines of text with roles, indexes of the big tables, small words."""
