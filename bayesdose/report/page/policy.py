"""Content-security policy of a page: nothing is fetched, and only our style and script are run."""

import hashlib
from base64 import b64encode


def content_security_policy(style: str, script: str) -> str:
    """Policy for a page with one inline style and one inline script.

    Parameters
    ----------
    style, script : str
        Exactly what stands between the tags.

    Returns
    -------
    str
        Directives for a ``meta`` element.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
