"""What is said here of the C services alone belongs to no run about another implementation."""

from support.implementations import C, PEERS, chosen

if any(chosen(name) != C for name in PEERS):
    collect_ignore_glob = ["test_*.py"]
