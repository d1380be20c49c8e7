"""What ``docker image inspect`` says about an image: the user that its containers run as.

Source:
    https://github.com/opencontainers/image-spec/blob/main/config.md
"""

from __future__ import annotations

import json

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Facts, Seen
from holdfast.model.place import Where
from holdfast.model.words import declared


def read_image(data: bytes, name: str) -> Facts:
    """Answer what an image decides where the document that names it says nothing.

    Args:
        data: The engine's answer about one image.
        name: The image, for the place.

    Returns:
        ``declared.user``: empty where the image names none, so that its containers run as root.

    Raises:
        NotUnderstood: The answer is no description of an image.
    """
    place = f"docker:/images/{name}"
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("The engine's answer about an image is no JSON", place, "update the engine") from error
    config = told.get("Config") if isinstance(told, dict) else None
    user = config.get("User", "") if isinstance(config, dict) else ("" if isinstance(told, dict) else None)
    if not isinstance(user, str):
        raise NotUnderstood("The engine's answer about an image is not understood", place, "update the engine")
    return Facts({declared.USER: Seen(user, Where(place, "/Config/User"), "the image says so")})
