"""The version of this client, also sent to the service as part of User-Agent."""

__version__ = "0.1.0"
