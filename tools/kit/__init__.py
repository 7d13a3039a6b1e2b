"""What the tools share. Standard library only, so that it runs on a fresh machine."""
