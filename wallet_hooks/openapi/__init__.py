"""The OpenAPI document of all HTTP APIs, generated from the tables of routes and their schemas."""
