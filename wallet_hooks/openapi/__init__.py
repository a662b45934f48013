"""The OpenAPI document of every HTTP API, made from the routes' own schemas."""
