"""Cloudflare's error answers."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An error answer: HTTP status, Cloudflare's code and message, and the codes that explain it."""

    def __init__(
        self, status: int, code: int, message: str, *chain: tuple[int, str], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.errors: list[dict[str, Any]] = [{"code": code, "message": message}]
        if chain:
            self.errors[0]["error_chain"] = [{"code": c, "message": m} for c, m in chain]

    def envelope(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"result": None, "success": False, "errors": self.errors, "messages": []}


def validation(*chain: tuple[int, str]) -> ApiError:
    """A record that breaks a rule."""
    return ApiError(400, 1004, "DNS Validation Error", *chain)


def no_record() -> ApiError:
    """A record id nobody knows."""
    return ApiError(404, 81044, "Record does not exist.")


def no_route(path: str) -> ApiError:
    """A path the API doesn't have, or an id of the wrong form in it."""
    error = ApiError(400, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")
    error.errors.append({"code": 7000, "message": "No route for that URI"})
    return error


def malformed_authorization() -> ApiError:
    """An Authorization header that isn't ``Bearer <token>``."""
    return ApiError(400, 6003, "Invalid request headers", (6111, "Invalid format for Authorization header"))


def unknown_token() -> ApiError:
    """A token nobody made."""
    return ApiError(403, 9109, "Invalid access token")


def token_not_verified() -> ApiError:
    """The same, where the question was whether the token is good."""
    return ApiError(401, 1000, "Invalid API Token")


def not_permitted() -> ApiError:
    """A good token that may not do this."""
    return ApiError(403, 10000, "Authentication error")


def throttled(limit: int, window_s: int, retry_after_s: int) -> ApiError:
    """Too many requests."""
    message = f"More than {limit} requests per {window_s} seconds reached. Please wait and consider throttling your request speed"
    return ApiError(429, 10100, message, headers={"retry-after": str(retry_after_s)})
