"""What every request passes, from the outside in: telemetry, admission, limits.

Plain ASGI, for BaseHTTPMiddleware starts a task for each request.
"""
