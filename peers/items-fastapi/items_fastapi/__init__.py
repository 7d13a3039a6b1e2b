"""The items service in Python: the same contract as services/items, on FastAPI and asyncpg."""

SERVICE = "items"
VERSION = "1.0.0"
API_PREFIX = "/api/v1"
